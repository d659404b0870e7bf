#ifndef HEADWAY_ENGINE_STEP_TRANSFORM_RESUMABLE_H_
#define HEADWAY_ENGINE_STEP_TRANSFORM_RESUMABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/transform.h"

// Transforms that multiply records. A transform holds no credit of its own; one that may emit many
// records for one must therefore be able to stop within a batch. It resumes when there is credit.

namespace headway {

// The output of a resumable transform.
template <class R, class T>
class ResumableOutput : public TransformOutput<R, T> {
 public:
  // Made by TransformResumable.
  ResumableOutput(internal::Graph& graph, const std::string& step_id,
                  const internal::Resumable& transform)
      : TransformOutput<R, T>(graph, step_id), credit_(graph.credit()), transform_(transform) {}

  // Returns false if the dataflow has no credit for another batch. Cheap enough for every record:
  // credit is checked once per output batch.
  bool WantsMore() {
    if (this->flush_count() == checked_flush_count_) [[likely]]
      return true;
    if (!credit_.MayContinue(*port_, transform_)) return false;
    checked_flush_count_ = this->flush_count();
    return true;
  }

  // Called before each call of the body: the records go out at `time` through `port`.
  void Begin(const T& time, internal::OutputPortBase& port) {
    TransformOutput<R, T>::Begin(time);
    port_ = &port;
    checked_flush_count_ = this->flush_count();
  }

 private:
  internal::CreditGate& credit_;
  const internal::Resumable& transform_;
  internal::OutputPortBase* port_ = nullptr;
  uint64_t checked_flush_count_ = 0;
};

namespace internal {

template <class D, class R, class T, class Position, class Body>
class ResumableReceiver final : public Receiver<D, T>, public Resumable {
 public:
  ResumableReceiver(Graph& graph, std::string step_id, Body body)
      : graph_(graph),
        step_id_(std::move(step_id)),
        body_(std::move(body)),
        output_(graph, step_id_, *this) {
    graph_.credit().Register(*this);
  }

  void Push(const T& time, Batch<D>&& batch) override {
    OutputPortBase& port = graph_.current_push().port();
    if (spare_position_ == nullptr) spare_position_ = std::make_unique<std::optional<Position>>();
    spare_position_->emplace();
    if (!Holds(port) && graph_.credit().MayContinue(port, *this)) {
      if (Process(time, batch, **spare_position_, port)) return;
    }
    rests_.push_back(
        {std::move(batch), time, std::move(spare_position_), graph_.current_push().Hold()});
    graph_.credit().AddStalled(*this);
  }
  // The port holds watermarks back while there are rests of its batches.
  void PushWatermark(const T& time, const Watermark& watermark) override {
    output_.tee().PushWatermark(time, watermark);
  }

  // Each port keeps its own order, and none waits for another: the port of the first rest may need
  // the credit of a node that cannot run before its own rests, further behind, are done.
  bool Resume() override {
    bool did_work = false;
    std::vector<OutputPortBase*> waiting;
    for (size_t i = 0; i < rests_.size();) {
      Rest& rest = rests_[i];
      OutputPortBase& port = *rest.hold.port;
      if (std::find(waiting.begin(), waiting.end(), &port) != waiting.end()) {
        ++i;
        continue;
      }
      bool done = false;
      if (graph_.credit().MayContinue(port, *this)) {
        did_work = true;
        {
          const internal::Push push(graph_.current_push(), port, &rest.hold);
          done = Process(rest.time, rest.batch, **rest.position, port);
        }
        port.Flush();
      }
      if (done) {
        port.ReleaseHold(rest.hold);
        rests_.erase(rests_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        waiting.push_back(&port);
        ++i;
      }
    }
    return did_work;
  }

  bool Done() const override { return rests_.empty(); }
  bool Holds(const OutputPortBase& port) const override {
    return AnyPort([&](const OutputPortBase& held) { return &held == &port; });
  }
  bool AnyPort(absl::FunctionRef<bool(const OutputPortBase&)> f) const override {
    return std::any_of(rests_.begin(), rests_.end(),
                       [&](const Rest& rest) { return f(*rest.hold.port); });
  }
  Tee<R, T>& tee() { return output_.tee(); }

 private:
  // The rest of a batch. The hold is a pointstamp for it at the output port of the push.
  struct Rest {
    Batch<D> batch;
    T time;
    std::unique_ptr<std::optional<Position>> position;  // at one address, which iterators need
    OutputPortBase::Hold hold;
  };

  // Returns true if the batch is done.
  bool Process(const T& time, Batch<D>& batch, Position& position, OutputPortBase& port) {
    bool done = true;
    output_.Begin(time, port);
    graph_.errors().Guard(step_id_, [&] { done = body_(batch, position, output_); });
    output_.End();
    return done;
  }

  Graph& graph_;
  const std::string step_id_;
  Body body_;
  ResumableOutput<R, T> output_;
  std::deque<Rest> rests_;  // bounded: the node of a port with a rest here does not run
  std::unique_ptr<std::optional<Position>> spare_position_;  // of the batch that is being pushed
};

}  // namespace internal

// Returns the stream of the records that `body` emits: a transform that may emit any number of
// records for one.
//
//   bool body(Batch<D>& batch, Position& position, ResumableOutput<R, T>& output);
//
// The body emits records of the batch while output.WantsMore(), and returns true when the batch is
// done. It returns false to stop: when there is credit it is called again, with the same batch and
// position. Meanwhile it may be called with other batches, so `position` holds all that it needs to
// continue. A position is default-constructed for each batch and never moved.
template <class R, class Position, class D, class T, class Body>
Stream<R, T> TransformResumable(const Stream<D, T>& stream, std::string_view step_id, Body body) {
  static_assert(std::is_invocable_r_v<bool, Body&, Batch<D>&, Position&, ResumableOutput<R, T>&>,
                "TransformResumable: the body must take (Batch<D>& batch, Position& position, "
                "ResumableOutput<R, T>& output) and return true when the batch is done");
  return internal::AddTransform<R, internal::ResumableReceiver<D, R, T, Position, Body>>(
      stream, step_id, std::move(body));
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_TRANSFORM_RESUMABLE_H_
