#ifndef HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_
#define HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_

#include <memory>
#include <utility>

#include "engine/graph/scope.h"
#include "engine/runtime/concat.h"
#include "engine/step/operator_builder.h"

namespace headway {

namespace internal {

template <class D>
struct InputState {
  Graph* graph = nullptr;  // null before the input is built, and once its dataflow has gone
  NodeOutput<D, Epoch>* output = nullptr;
  Node* node = nullptr;
  Capability<Epoch> capability;
  Epoch time = 0;
};

}  // namespace internal

// An input that the host feeds by hand. Scope::Input makes it part of a dataflow. The handle sends
// at time(), which begins with the run's first epoch; AdvanceTo closes the times before. Close, or
// the destructor, ends the input. Belongs to its worker's thread. Without effect once the dataflow
// is gone or the run has failed.
//
// The dataflow gets a batch when the batch is full and when time advances; operators run in
// Worker::Step. A function of the same dataflow that is called with a batch (that of a Map, for
// example) must not feed it: that is a FailedPrecondition failure of the run.
template <class D>
class InputHandle {
 public:
  InputHandle() = default;
  InputHandle(InputHandle&&) noexcept = default;
  InputHandle& operator=(InputHandle&& other) noexcept {
    Close();
    state_ = std::move(other.state_);
    return *this;
  }
  ~InputHandle() { Close(); }

  Epoch time() const { return state_->time; }

  template <class U>
  void Send(U&& record) {
    if (state_->output == nullptr) return;
    Guarded([&] { state_->output->SessionAtTime(state_->time).Give(std::forward<U>(record)); });
  }

  // Sends a whole batch, without a copy.
  void SendBatch(Batch<D>&& batch) {
    if (state_->output == nullptr) return;
    Guarded([&] { state_->output->SessionAtTime(state_->time).GiveBatch(std::move(batch)); });
  }

  // Hands all records that were sent to the dataflow.
  void Flush() {
    if (state_->output == nullptr) return;
    Guarded([&] {
      // The batch that is being pushed would continue at another time, or from buffers in use.
      if (state_->graph->current_push().under_way())
        state_->graph->current_push().FailNested(*state_->output);
      state_->output->Flush();
    });
    state_->graph->queue().MarkActive();
  }

  // Promises that no record will be sent before `time`. A time earlier than time() is a
  // FailedPrecondition failure of the run.
  void AdvanceTo(Epoch time) {
    if (state_->output == nullptr) return;
    Flush();
    if (state_->graph->worker().failed()) return;
    if (time < state_->time) {
      state_->graph->errors().Fail(
          state_->node->step_id(),
          absl::FailedPreconditionError(internal::Concat(
              {"AdvanceTo(", std::to_string(time), ") was called on its InputHandle, which is at ",
               std::to_string(state_->time),
               " already; advance it to that time or to a later one"})));
      return;
    }
    state_->capability.Downgrade(time);
    state_->time = time;
  }

  // Ends the input.
  void Close() {
    if (state_ == nullptr || state_->output == nullptr) return;
    Flush();
    state_->capability.Drop();
    state_->output = nullptr;
  }

  // Returns true if the dataflow can take more within max_bytes_in_flight. A host that may be
  // faster than the dataflow steps the worker until it is true.
  bool HasCredit() const {
    return state_->output == nullptr || state_->graph->credit().HostHasCredit(*state_->output);
  }

  // Made by Scope::Input. A handle belongs to one dataflow at a time.
  const std::shared_ptr<internal::InputState<D>>& state() const { return state_; }

 private:
  template <class F>
  void Guarded(F&& f) {
    try {
      state_->graph->errors().Guard(state_->node->step_id(), std::forward<F>(f));
    } catch (const internal::StepFailed&) {
      state_->output = nullptr;
    }
  }

  std::shared_ptr<internal::InputState<D>> state_ = std::make_shared<internal::InputState<D>>();
};

template <class T>
template <class D>
Stream<D, T> Scope<T>::Input(InputHandle<D>& handle) {
  static_assert(std::is_same_v<T, Epoch>, "an input belongs into the root scope");
  OperatorBuilder<T> builder(*this, "InputHandle-" + std::to_string(locations_.size()));
  NodeOutput<D, T>& output = builder.template AddOutput<D>();
  builder.Build([&](std::vector<Capability<T>> first) {
    internal::InputState<D>& state = *handle.state();
    if (state.graph != nullptr) {
      graph_.errors().FailAndThrow(
          builder.node().step_id(),
          absl::FailedPreconditionError(
              "its InputHandle feeds another input already; use one handle for each input"));
    }
    state.graph = &graph_;
    state.output = &output;
    state.node = &builder.node();
    state.time = first[0].time();
    state.capability = std::move(first[0]);
    return [] {};
  });
  graph_.objects().AtEnd([state = handle.state()] {
    state->output = nullptr;
    state->graph = nullptr;
  });
  return builder.StreamOf(output);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_
