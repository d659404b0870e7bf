#ifndef HEADWAY_OPERATORS_FLAT_MAP_H_
#define HEADWAY_OPERATORS_FLAT_MAP_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "engine/step/transform.h"

namespace headway {

namespace internal {

// Multiplies records, so it may have to stop between two of its output batches: it then keeps the
// rest of its input, with a pointstamp for it at the output port that was pushing, and goes on when
// there is credit.
template <class D, class R, class T, class F>
class FlatMapReceiver final : public Receiver<D, T>, public Resumable {
 public:
  using Range = std::remove_cvref_t<std::invoke_result_t<F&, TakeType<D>>>;

  FlatMapReceiver(Graph& graph, std::string step_id, F f)
      : graph_(graph),
        step_id_(std::move(step_id)),
        f_(std::move(f)),
        output_(graph.worker().endpoint) {
    graph_.credit().Register(*this);
  }

  void Push(const T& time, Batch<D>&& batch) override {
    OutputPortBase& port = graph_.current_push().port();
    size_t next = 0;
    if (!Holds(port) && graph_.credit().MayContinue(port, *this)) {
      output_.set_time(&time);
      if (Process(batch, next, in_work_, port)) return;
    }
    left_.push_back({std::move(batch), time, next, std::exchange(in_work_, nullptr),
                     graph_.current_push().Hold()});
    graph_.credit().AddStalled(*this);
  }

  // Each port goes on in its own order, and none waits for another: the port of the first batch may
  // need the credit of a node that cannot run before its own batches, further behind, have gone on.
  bool Resume() override {
    bool did_work = false;
    std::vector<OutputPortBase*> waiting;
    for (size_t i = 0; i < left_.size();) {
      Left& left = left_[i];
      OutputPortBase& port = *left.hold.port;
      if (std::find(waiting.begin(), waiting.end(), &port) != waiting.end()) {
        ++i;
        continue;
      }
      bool done = false;
      if (graph_.credit().MayContinue(port, *this)) {
        did_work = true;
        output_.set_time(&left.time);
        {
          const internal::Push push(graph_.current_push(), port, &left.hold);
          done = Process(left.batch, left.next, left.in_work, port);
        }
        port.Flush();
      }
      if (done) {
        port.ReleaseHold(left.hold);
        left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        waiting.push_back(&port);
        ++i;
      }
    }
    return did_work;
  }

  bool Done() const override { return left_.empty(); }
  bool Holds(const OutputPortBase& port) const override {
    for (const Left& left : left_) {
      if (left.hold.port == &port) return true;
    }
    return false;
  }

  TransformOutput<R, T>& output() { return output_; }

 private:
  static constexpr bool kGivesBatchStrings =
      std::is_same_v<std::ranges::range_value_t<Range>, BatchString>;

  // Of columns a record is put together when it is read; else it lies in the batch.
  static constexpr bool kKeepsRecord = !std::is_reference_v<TakeType<D>>;
  using KeptRecord =
      std::conditional_t<kKeepsRecord, std::remove_cvref_t<TakeType<D>>, std::monostate>;

  // What a record became, the position in it, and the record, to which the range may refer. At an
  // address of its own, which iterators need.
  struct InWork {
    std::optional<KeptRecord> record;
    std::optional<Range> results;
    std::optional<std::ranges::iterator_t<Range>> position;
  };
  struct Left {
    Batch<D> batch;
    T time;
    size_t next;
    std::unique_ptr<InWork> in_work;
    OutputPortBase::Hold hold;
  };

  // Goes on with record `next` of the batch; false if it had to stop.
  bool Process(Batch<D>& batch, size_t& next, std::unique_ptr<InWork>& in_work,
               OutputPortBase& port) {
    bool done = true;
    if (in_work == nullptr) in_work = std::make_unique<InWork>();
    graph_.errors().Guard(step_id_,
                          [&] { done = ProcessUntilNoCredit(batch, next, *in_work, port); });
    output_.Flush();
    return done;
  }

  bool ProcessUntilNoCredit(Batch<D>& batch, size_t& next, InWork& in_work, OutputPortBase& port) {
    auto& [record, results, position] = in_work;
    uint64_t flushes = output_.flush_count();
    while (next < batch.size()) {
      if (!position.has_value()) {
        if constexpr (kKeepsRecord) {
          results.emplace(f_(std::move(record.emplace(batch.Take(next)))));
        } else {
          results.emplace(f_(batch.Take(next)));
        }
        position.emplace(std::ranges::begin(*results));
      }
      // In a variable while it moves, so that the compiler may keep it in registers.
      std::ranges::iterator_t<Range> at = *std::move(position);
      const std::ranges::sentinel_t<Range> end = std::ranges::end(*results);
      while (at != end) {
        if constexpr (kGivesBatchStrings) {
          output_.GiveShort(at, end);
          if (at == end) break;
        }
        if constexpr (std::is_copy_constructible_v<R>) {
          output_.Give(*at);
        } else {
          output_.Give(std::ranges::iter_move(at));
        }
        ++at;
        if (output_.flush_count() != flushes) {
          flushes = output_.flush_count();
          if (!graph_.credit().MayContinue(port, *this)) {
            position.emplace(std::move(at));
            return false;
          }
        }
      }
      position.reset();
      results.reset();
      ++next;
    }
    return true;
  }

  Graph& graph_;
  const std::string step_id_;
  F f_;
  TransformOutput<R, T> output_;
  std::deque<Left> left_;            // bounded: the node of a port that has some here does not run
  std::unique_ptr<InWork> in_work_;  // of a batch that goes through at once
};

}  // namespace internal

// Replaces each record by the elements of the range that f(record) returns: a container, a view, a
// generator. A range may refer to the record, if `f` takes that by reference. It may be in use when
// `f` is called for the next record, so it does not refer to what that call changes.
template <class F>
auto FlatMap(std::string step_id, F f) {
  return [step_id = std::move(step_id),
          f = std::move(f)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(std::is_invocable_v<F&, TakeType<D>>,
                  "FlatMap: the function must take one record of the stream, with "
                  "std::string_view for its strings");
    using Range = std::remove_cvref_t<std::invoke_result_t<F&, TakeType<D>>>;
    static_assert(std::ranges::input_range<Range>,
                  "FlatMap: the function must return a range: a container, a view or a generator");
    using R = RecordOfT<std::ranges::range_reference_t<Range>>;
    internal::Graph& graph = stream.scope().graph();
    std::string id = stream.scope().FullId(step_id);
    graph.builder(id).ClaimStepId(id);
    auto& receiver = graph.objects().template Make<internal::FlatMapReceiver<D, R, T, F>>(
        graph, id, std::move(f));
    stream.AddReceiver(id, receiver);
    graph.builder().description().AddStream(&receiver.output().tee(), id);
    return Stream<R, T>(stream.scope(), receiver.output().tee(), stream.location(), stream.ports());
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FLAT_MAP_H_
