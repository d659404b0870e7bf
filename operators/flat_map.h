#ifndef HEADWAY_OPERATORS_FLAT_MAP_H_
#define HEADWAY_OPERATORS_FLAT_MAP_H_

#include <deque>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

#include "headway/engine/transform.h"

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
    graph_.AddResumable(this);
  }

  void Push(const T& time, Batch<D>&& batch) override {
    OutputPortBase& port = *graph_.pushing_port();
    size_t next = 0;
    if (left_.empty() && graph_.MayGoOn(port, *this)) {
      output_.set_time(&time);
      if (Process(batch, next, port)) return;
    }
    left_.push_back({std::move(batch), time, next, port.HoldCurrentTime()});
    graph_.AddStalled(this);
  }

  bool Resume() override {
    bool did_work = false;
    while (!left_.empty()) {
      Left& left = left_.front();
      OutputPortBase& port = *left.hold.port;
      if (!graph_.MayGoOn(port, *this)) break;
      did_work = true;
      output_.set_time(&left.time);
      graph_.set_pushing_port(&port);
      const bool done = Process(left.batch, left.next, port);
      graph_.set_pushing_port(nullptr);
      port.Flush();
      if (!done) break;
      port.ReleaseHold(left.hold);
      left_.pop_front();
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
  struct Left {
    Batch<D> batch;
    T time;
    size_t next;
    OutputPortBase::Hold hold;
  };

  // Goes on with record `next` of the batch; false if it had to stop.
  bool Process(Batch<D>& batch, size_t& next, OutputPortBase& port) {
    bool done = true;
    graph_.GuardStep(step_id_, [&] { done = ProcessUntilNoCredit(batch, next, port); });
    output_.Flush();
    return done;
  }

  bool ProcessUntilNoCredit(Batch<D>& batch, size_t& next, OutputPortBase& port) {
    uint64_t flushes = output_.flush_count();
    while (next < batch.size()) {
      if (!position_.has_value()) {
        results_.emplace(f_(batch.Take(next)));
        position_.emplace(std::ranges::begin(*results_));
      }
      while (*position_ != std::ranges::end(*results_)) {
        output_.Give(**position_);
        ++*position_;
        if (output_.flush_count() != flushes) {
          flushes = output_.flush_count();
          if (!graph_.MayGoOn(port, *this)) return false;
        }
      }
      position_.reset();
      results_.reset();
      ++next;
    }
    return true;
  }

  Graph& graph_;
  const std::string step_id_;
  F f_;
  TransformOutput<R, T> output_;
  std::deque<Left> left_;         // bounded: its port's node does not run while it is not empty
  std::optional<Range> results_;  // of the record in work, with the position in it
  std::optional<std::ranges::iterator_t<Range>> position_;
};

}  // namespace internal

// Replaces each record by the elements of the range that f(record) returns: a container, a view, a
// generator.
template <class F>
auto FlatMap(std::string step_id, F f) {
  return [step_id = std::move(step_id),
          f = std::move(f)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(std::is_invocable_v<F&, TakeType<D>>,
                  "FlatMap: the function must take one record of the stream");
    using Range = std::remove_cvref_t<std::invoke_result_t<F&, TakeType<D>>>;
    static_assert(std::ranges::input_range<Range>,
                  "FlatMap: the function must return a range: a container, a view or a generator");
    using R = RecordOfT<std::ranges::range_reference_t<Range>>;
    internal::Graph& graph = stream.scope().graph();
    std::string id = stream.scope().FullId(step_id);
    graph.ClaimStepId(id);
    auto& receiver = graph.template Make<internal::FlatMapReceiver<D, R, T, F>>(
        graph, std::move(id), std::move(f));
    stream.tee().Add(&receiver);
    return Stream<R, T>(stream.scope(), receiver.output().tee(), stream.location(), stream.ports());
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FLAT_MAP_H_
