#ifndef HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_
#define HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/graph/scope.h"
#include "engine/step/operator_builder.h"

namespace headway {

namespace internal {

// An input that is fed by hand, as its handle and its dataflow share it. Independent of the record
// type.
class InputState {
 public:
  // Joins the input to a dataflow, whose graph gives the capability. The handle sends through
  // `output`.
  void Attach(Graph& graph, Node& node, OutputPortBase& output, Capability<Epoch> capability);
  // The dataflow is gone.
  void Detach();
  // For the node, when it runs: tells steps downstream, if they derive watermarks.
  void TellWatermark();
  // Makes the state one that is closed and cannot be attached.
  void MarkMovedFrom() { moved_from_ = true; }
  // The error of an attempt to attach it; OK if it can be attached.
  absl::Status CheckAttach() const;

  bool open() const { return output_ != nullptr; }
  Epoch time() const { return time_; }
  Endpoint* endpoint() const { return open() ? &graph_->worker().endpoint() : nullptr; }
  // Returns true if a call of the handle may have an effect now. A call from the wrong place is a
  // failure of the run, one before the build a failure of the build.
  bool MayCall(const char* name) {
    if (open() && graph_->queue().at_rest() && !graph_->current_push().under_way()) [[likely]] {
      return true;
    }
    Refuse(name);
    return false;
  }

  void Flush();
  void AdvanceTo(Epoch time);
  void Close();
  bool HasCredit() const { return !open() || graph_->credit().HostHasCredit(*output_); }

  // Runs `f`, which sends. A failure closes the input.
  template <class F>
  void Guard(F&& f) {
    try {
      graph_->errors().Guard(node_->step_id(), std::forward<F>(f));
    } catch (const StepFailed&) {
      output_ = nullptr;
    }
  }

 private:
  void Refuse(const char* name);
  void FlushNow();

  Graph* graph_ = nullptr;  // null before the input is built, and once its dataflow has gone
  OutputPortBase* output_ = nullptr;  // null also if the input is closed
  Node* node_ = nullptr;
  Capability<Epoch> capability_;
  Epoch time_ = 0;
  const char* called_early_ = nullptr;  // the first call before the input was built
  bool was_attached_ = false;
  bool moved_from_ = false;
};

}  // namespace internal

// An input that the host feeds by hand. Scope::Input makes it part of a dataflow. The handle sends
// at time(), which begins with Worker::resume_epoch(); AdvanceTo closes the times before. Close, or
// the destructor, ends the input. Belongs to its worker's thread. Without effect once it is closed
// or moved from, the dataflow is gone, or the run has failed.
//
// The dataflow gets a batch when the batch is full and when time advances; operators run in
// Worker::Step. A function of the same dataflow (that of a Map, for example) must not feed or close
// the input: that is a FailedPrecondition failure of the run. So is feeding it in the function that
// builds the dataflow. Feeding it before that is a FailedPrecondition failure of the build.
template <class D>
class InputHandle {
 public:
  InputHandle() = default;
  // The handle that was moved from is closed.
  InputHandle(InputHandle&& other) noexcept
      : state_(std::exchange(other.state_, MovedFrom())), output_(other.output_) {}
  InputHandle& operator=(InputHandle&& other) noexcept {
    if (this == &other) return *this;
    if (state_->open()) state_->Close();
    state_ = std::exchange(other.state_, MovedFrom());
    output_ = other.output_;
    return *this;
  }
  ~InputHandle() {
    if (state_->open()) state_->Close();
  }

  // The time at which it sends; 0 before the dataflow is built.
  Epoch time() const { return state_->time(); }

  template <class U = D>
  void Send(U&& record) {
    if (!state_->MayCall("Send")) return;
    state_->Guard([&] { output_->GiveByHand(state_->time(), std::forward<U>(record)); });
  }

  // Sends a whole batch, without a copy. Its block is from endpoint().
  void SendBatch(Batch<D>&& batch) {
    if (!state_->MayCall("SendBatch")) return;
    state_->Guard([&] { output_->GiveBatchByHand(state_->time(), std::move(batch)); });
  }

  // Hands all records that were sent to the dataflow.
  void Flush() { state_->Flush(); }

  // Promises that no record will be sent before `time`. A time earlier than time() is a
  // FailedPrecondition failure of the run.
  void AdvanceTo(Epoch time) { state_->AdvanceTo(time); }

  // Ends the input.
  void Close() { state_->Close(); }

  // Returns true if the dataflow can take more within max_bytes_in_flight. A host that may be
  // faster than the dataflow steps the worker until it is true.
  bool HasCredit() const { return state_->HasCredit(); }

  // Gives batches for SendBatch their blocks. Null if the input is not open.
  internal::Endpoint* endpoint() const { return state_->endpoint(); }

 private:
  template <class>
  friend class Scope;

  static std::shared_ptr<internal::InputState> MovedFrom() {
    static internal::InputState* const state = [] {
      auto* moved_from = new internal::InputState;
      moved_from->MarkMovedFrom();
      return moved_from;
    }();
    return {std::shared_ptr<void>(), state};
  }

  std::shared_ptr<internal::InputState> state_ = std::make_shared<internal::InputState>();
  NodeOutput<D, Epoch>* output_ = nullptr;  // valid while the state is open
};

template <class T>
template <class D>
Stream<D, T> Scope<T>::Input(InputHandle<D>& handle) {
  static_assert(std::is_same_v<T, Epoch>, "an input must be in the root scope");
  OperatorBuilder<T> builder(*this, "InputHandle-" + std::to_string(locations_.size()));
  if (absl::Status status = handle.state_->CheckAttach(); !status.ok()) {
    graph_.errors().FailAndThrow(builder.node().step_id(), status);
  }
  NodeOutput<D, T>& output = builder.template AddOutput<D>();
  builder.node().may_be_woken = true;
  builder.Build([&](std::vector<Capability<T>> first) {
    handle.output_ = &output;
    handle.state_->Attach(graph_, builder.node(), output, std::move(first[0]));
    return [&output, state = handle.state_.get()] {
      output.Flush();
      state->TellWatermark();
    };
  });
  graph_.objects().AtEnd([state = handle.state_] { state->Detach(); });
  return builder.StreamOf(output);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_INPUT_HANDLE_H_
