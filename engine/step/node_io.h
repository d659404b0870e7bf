#ifndef HEADWAY_ENGINE_STEP_NODE_IO_H_
#define HEADWAY_ENGINE_STEP_NODE_IO_H_

#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/batch/batch.h"
#include "engine/graph/capability.h"
#include "engine/graph/graph.h"
#include "engine/graph/tee.h"
#include "engine/runtime/concat.h"

// The parts of an operator that its logic uses: inputs, outputs, and the capabilities that come
// with batches.

namespace headway {

namespace internal {

// How a time at an input appears at an output of the same node.
template <class T>
struct InputToOutput {
  CapabilityLedger<T>* ledger;
  std::optional<typename TimestampTraits<T>::Summary>
      summary;  // none: no path leads from the input to the output
};

}  // namespace internal

// The right to send at the time of a batch while the batch is being processed. To send later,
// retain a Capability. Valid in the call that receives it.
template <class T = Epoch>
class CapabilityRef {
 public:
  CapabilityRef(const T& time, std::span<const internal::InputToOutput<T>> outputs,
                internal::Graph* graph, internal::Node* node)
      : time_(time), outputs_(outputs), graph_(graph), node_(node) {}

  const T& time() const { return time_; }

  // Whether a record at this time may be sent at the output of that ledger, at the same time.
  bool MaySend(const internal::CapabilityLedger<T>* ledger) const {
    for (const internal::InputToOutput<T>& output : outputs_) {
      if (output.ledger != ledger || !output.summary.has_value()) continue;
      const std::optional<T> first = TimestampTraits<T>::ResultsIn(time_, *output.summary);
      return first.has_value() && TimestampTraits<T>::LessEqual(*first, time_);
    }
    return false;
  }

  // A capability at this time for output number `output`.
  Capability<T> Retain(size_t output = 0) const { return Delayed(time_, output); }

  // A capability at `time`, which must not be before this one's time as it appears at that output.
  Capability<T> Delayed(const T& time, size_t output = 0) const {
    if (output < outputs_.size() && outputs_[output].summary.has_value()) {
      std::optional<T> first = TimestampTraits<T>::ResultsIn(time_, *outputs_[output].summary);
      if (first.has_value() && TimestampTraits<T>::LessEqual(*first, time)) {
        return internal::CapabilityFactory::Mint(*outputs_[output].ledger, time);
      }
    }
    graph_->errors().Fail(node_->step_id(),
                          absl::FailedPreconditionError(internal::Concat(
                              {"a batch at time ", TimestampTraits<T>::Format(time_),
                               " gives no capability for time ", TimestampTraits<T>::Format(time),
                               " at output ", std::to_string(output)})));
    return Capability<T>();
  }

 private:
  T time_;
  std::span<const internal::InputToOutput<T>> outputs_;
  internal::Graph* graph_;
  internal::Node* node_;
};

// An input of an operator: batches that have come, and the times that may still come.
template <class D, class T = Epoch>
class NodeInput : public internal::InputPortBase {
 public:
  NodeInput(internal::Graph& graph, internal::Node& node, ScopeTracker<T>& tracker)
      : InputPortBase(graph, node), tracker_(tracker) {}

  // Calls f(const CapabilityRef<T>& time, Batch<D>& batch) for batches that have come, in their
  // order. An activation takes a bounded number of them, fewer while the outputs lack credit; the
  // operator is scheduled again for the rest. The batch may be taken (moved from) by f.
  template <class F>
  void ForEach(F&& f) {
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&, Batch<D>&>,
                  "NodeInput::ForEach: the function must take (const CapabilityRef<T>& time, "
                  "Batch<D>& batch), for a stream of D at times of type T");
    while (MayTakeAnother()) {
      internal::Block* block = TakeBlock();
      T time = block->Time<T>();
      tracker_.Record(location, time, -1);
      Batch<D> batch(&graph_.worker().endpoint(), block);
      const CapabilityRef<T> right(time, outputs_, &graph_, &node_);
      f(right, batch);
    }
  }

  // The capabilities at a batch's time, as each output has it: to keep the right to send.
  std::vector<Capability<T>> RetainAll(const CapabilityRef<T>& time) const {
    std::vector<Capability<T>> capabilities;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!outputs_[i].summary.has_value()) continue;
      const auto first = TimestampTraits<T>::ResultsIn(time.time(), *outputs_[i].summary);
      if (first.has_value()) capabilities.push_back(time.Delayed(*first, i));
    }
    return capabilities;
  }
  // The right to send at `time`, as a batch at that time gives it. REQUIRES: the step holds the
  // capabilities that RetainAll returned at that time.
  CapabilityRef<T> RightAt(const T& time) const {
    return CapabilityRef<T>(time, outputs_, &graph_, &node_);
  }

  // The times that may still come: batches that wait in this input included.
  FrontierView<T> frontier() const { return tracker_.frontier(location); }

  // Made by OperatorBuilder.
  void SetOutputs(std::vector<internal::InputToOutput<T>> outputs) {
    outputs_ = std::move(outputs);
  }

 private:
  template <class, class>
  friend class EpochOrder;

  ScopeTracker<T>& tracker_;
  std::vector<internal::InputToOutput<T>> outputs_;
};

// An output of an operator.
template <class D, class T = Epoch>
class NodeOutput : public internal::OutputPortBase {
 public:
  NodeOutput(internal::Graph& graph, internal::Node& node, ScopeTracker<T>& tracker)
      : OutputPortBase(graph, node), tracker_(tracker), tee_(graph.worker().endpoint()) {}

  // Sends records at one time, until the call of the logic that began it returns.
  class Session {
   public:
    // Sends one record.
    template <class U>
    void Give(U&& record) {
      if (!output_->buffer_.TryAppend(std::forward<U>(record))) [[unlikely]] {
        // A record that was not appended was not moved from.
        // NOLINTNEXTLINE(bugprone-use-after-move)
        output_->GiveSlowly(std::forward<U>(record));
      }
    }
    // Sends a whole batch, without a copy.
    void GiveBatch(Batch<D>&& batch) {
      if (batch.empty()) return;
      output_->FlushOwnBuffer();
      output_->PushBatch(std::move(batch));
    }

   private:
    friend class NodeOutput;
    explicit Session(NodeOutput* output) : output_(output) {}
    NodeOutput* output_;
  };

  // Starts to send at the capability's time. One session at a time: records belong to the session
  // that was made last.
  Session SessionAt(const Capability<T>& capability) {
    if (!capability.held() || capability.ledger_ != ledger_) {
      graph_.errors().FailAndThrow(
          node_.step_id(),
          absl::FailedPreconditionError(
              capability.held() ? "a capability of another output was used to send"
                                : "a capability was used after it had been dropped or moved"));
    }
    return SessionAtTime(capability.time());
  }
  Session SessionAt(const CapabilityRef<T>& capability) {
    if (!capability.MaySend(ledger_)) [[unlikely]] {
      graph_.errors().FailAndThrow(
          node_.step_id(), absl::FailedPreconditionError(internal::Concat(
                               {"a batch at time ", TimestampTraits<T>::Format(capability.time()),
                                " gives no right to send at that time through this output; use a "
                                "capability for the time as it appears at the output"})));
    }
    return SessionAtTime(capability.time());
  }

  // For steps that have checked the right to send at this time themselves.
  Session SessionAtTime(const T& time) {
    if (!(time == time_)) {
      FlushOwnBuffer();
      time_ = time;
    }
    return Session(this);
  }

  Hold AddHold(const Hold* of) override {
    T time = time_;
    if (of != nullptr) std::memcpy(&time, of->time, sizeof(T));
    Hold hold{this, {}};
    std::memcpy(hold.time, &time, sizeof(T));
    tracker_.Record(location, time, +1);
    ++hold_count;
    return hold;
  }
  void ReleaseHold(const Hold& hold) override {
    T time;
    std::memcpy(&time, hold.time, sizeof(T));
    tracker_.Record(location, time, -1);
    --hold_count;
    graph_.queue().MarkActive();
  }

  // How many batches have gone out.
  uint64_t batch_count() const { return batch_count_; }

  internal::Tee<D, T>& tee() { return tee_; }
  void set_ledger(internal::CapabilityLedger<T>* ledger) { ledger_ = ledger; }
  internal::CapabilityLedger<T>& ledger() { return *ledger_; }

 protected:
  void FlushOwnBuffer() final {
    if (!buffer_.empty()) PushBatch(std::move(buffer_));
  }

 private:
  template <class U>
  void GiveSlowly(U&& record) {
    FlushOwnBuffer();
    buffer_.Allocate(graph_.worker().endpoint(), record);
    buffer_.TryAppend(std::forward<U>(record));
  }
  void PushBatch(Batch<D>&& batch) {
    Batch<D> pushed = std::move(batch);
    if (graph_.worker().failed()) throw internal::StepFailed();  // nothing more is done
    ++batch_count_;
    const internal::Push push(graph_.current_push(), *this);
    tee_.Push(time_, std::move(pushed));
  }

  ScopeTracker<T>& tracker_;
  internal::Tee<D, T> tee_;
  internal::CapabilityLedger<T>* ledger_ = nullptr;
  Batch<D> buffer_;
  T time_ = TimestampTraits<T>::Minimum();
  uint64_t batch_count_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_NODE_IO_H_
