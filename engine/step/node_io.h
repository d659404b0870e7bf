#ifndef HEADWAY_ENGINE_STEP_NODE_IO_H_
#define HEADWAY_ENGINE_STEP_NODE_IO_H_

#include <optional>
#include <string>
#include <string_view>
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

  // Whether a batch at `time` gives the right to send at that time.
  bool Keeps(const T& time) const {
    if (!summary.has_value()) return false;
    const std::optional<T> first = TimestampTraits<T>::ResultsIn(time, *summary);
    return first.has_value() && TimestampTraits<T>::LessEqual(*first, time);
  }
};

}  // namespace internal

template <class D, class T>
class NodeInput;
template <class D>
class SourceOutput;

// The right to send at the time of a batch while the batch is being processed. To send later,
// retain a Capability. Valid in the call that receives it, and neither copied nor moved; use of a
// reference that was kept is a FailedPrecondition failure of the run.
template <class T = Epoch>
class CapabilityRef {
 public:
  CapabilityRef(const CapabilityRef&) = delete;
  CapabilityRef& operator=(const CapabilityRef&) = delete;

  const T& time() const { return time_; }

  // Whether a record at this time may be sent at the output of that ledger, at the same time.
  bool MaySend(const internal::CapabilityLedger<T>* ledger) const {
    if (!valid_) return false;
    for (const internal::InputToOutput<T>& output : outputs_) {
      if (output.ledger == ledger) return output.Keeps(time_);
    }
    return false;
  }
  bool valid() const { return valid_; }

  // A capability at this time for output number `output`.
  Capability<T> Retain(size_t output = 0) const { return Delayed(time_, output); }

  // A capability at `time`, which must not be before this one's time as it appears at that output.
  Capability<T> Delayed(const T& time, size_t output = 0) const {
    if (!valid_) {
      FailKept();
      return Capability<T>();
    }
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
  template <class, class>
  friend class NodeInput;
  template <class, class>
  friend class NodeOutput;

  CapabilityRef(internal::Graph& graph, internal::Node& node) : graph_(&graph), node_(&node) {}

  void FailKept() const {
    graph_->errors().Fail(
        node_->step_id(),
        absl::FailedPreconditionError(
            "a CapabilityRef was used after the call that received it; keep a Capability, as "
            "Retain and Delayed return it"));
  }

  std::vector<internal::InputToOutput<T>> outputs_;
  internal::Graph* graph_;
  internal::Node* node_;
  T time_ = TimestampTraits<T>::Minimum();
  bool valid_ = false;  // a call that received it is under way
};

// An input of an operator: batches that have come, and the times that may still come.
template <class D, class T = Epoch>
class NodeInput : public internal::InputPortBase {
 public:
  NodeInput(internal::Graph& graph, internal::Node& node, ScopeTracker<T>& tracker)
      : InputPortBase(graph, node), tracker_(tracker), right_(graph, node) {}

  // Calls f(const CapabilityRef<T>& time, Batch<D>& batch) for batches that have come, in their
  // order. An activation takes a bounded number of them, fewer while the outputs lack credit; the
  // operator is scheduled again for the rest. The batch may be taken (moved from) by f. A call
  // within f, or from outside of the operator's logic, is a FailedPrecondition failure of the run.
  template <class F>
  void ForEach(F&& f) {
    ForEach(f, [this](const CapabilityRef<T>& time, const internal::ArrivedWatermark& watermark) {
      ApplyWatermark(time, watermark);
    });
  }
  // The same for steps that hold batches: arrived(const CapabilityRef<T>& time, const
  // internal::ArrivedWatermark& watermark) is called for watermarks, in their order with the
  // batches, and calls ApplyWatermark, now or when the batches before are processed.
  template <class F, class Arrived>
  void ForEach(F&& f, Arrived&& arrived) {
    static_assert(std::is_invocable_v<F&, const CapabilityRef<T>&, Batch<D>&>,
                  "NodeInput::ForEach: the function must take (const CapabilityRef<T>& time, "
                  "Batch<D>& batch), for a stream of D at times of type T");
    if (!node_.running || right_.valid_) [[unlikely]] {
      FailForEach();
    }
    while (MayTakeAnother()) {
      internal::Block* block = TakeBlock();
      right_.time_ = block->Time<T>();
      tracker_.Record(location, right_.time_, -1);
      if (block->record_count == 0) [[unlikely]] {
        right_.valid_ = true;
        arrived(std::as_const(right_), TakeWatermark(block));
        right_.valid_ = false;
        continue;
      }
      Batch<D> batch(&graph_.worker().endpoint(), block);
      right_.valid_ = true;
      f(std::as_const(right_), batch);
      right_.valid_ = false;
    }
  }

  // The watermark of the stream: no record before it is expected. It follows the batches that
  // ForEach has passed on.
  EventTime watermark() const { return watermarks_.time(); }

  // For steps that hold batches: the records before the watermark `arrived` are processed. Returns
  // true if the watermark changed; it is sent through all outputs when the logic returns.
  bool ApplyWatermark(const CapabilityRef<T>& time, const internal::ArrivedWatermark& arrived) {
    if (!watermarks_.Update(arrived)) return false;
    // The latest time of all that were applied: earlier ones must not see the effects of later
    // ones. Times that are in no total order are compared within an activation.
    if ((node_.watermark.changed != this && !TimestampTraits<T>::kTotallyOrdered) ||
        TimestampTraits<T>::TotalLess(watermark_changed_at_, time.time())) {
      watermark_changed_at_ = time.time();
    }
    node_.watermark.changed = this;
    return true;
  }
  // For steps that keep records and send them later: no watermark above `limit` is sent. It is the
  // watermark of the input when the first of these records arrived, or kNoWatermarkLimit. When the
  // logic returns, a watermark is sent at `time`, at which the step has the right to send, or at
  // the later time at which the watermark of the input changed.
  void LimitWatermark(const T& time, EventTime limit) {
    if (std::exchange(node_.watermark.limit, limit) == limit) return;
    node_.watermark.changed = this;
    if (!TimestampTraits<T>::LessEqual(time, watermark_changed_at_)) watermark_changed_at_ = time;
  }
  // For steps that are restored.
  void RaiseWatermark(EventTime to) { watermarks_.RaiseTo(to); }

  // The capabilities at a batch's time, as each output has it: to keep the right to send.
  std::vector<Capability<T>> RetainAll(const CapabilityRef<T>& time) const {
    std::vector<Capability<T>> capabilities;
    for (size_t i = 0; i < right_.outputs_.size(); ++i) {
      const internal::InputToOutput<T>& output = right_.outputs_[i];
      if (!output.summary.has_value()) continue;
      const auto first = TimestampTraits<T>::ResultsIn(time.time(), *output.summary);
      if (first.has_value()) capabilities.push_back(time.Delayed(*first, i));
    }
    return capabilities;
  }
  // Calls f(const CapabilityRef<T>&) with the right to send at `time`, as a batch at that time
  // gives it. Calls may nest. REQUIRES: the step holds the capabilities that RetainAll returned at
  // that time.
  template <class F>
  void WithRightAt(const T& time, F&& f) {
    const T outer_time = std::exchange(right_.time_, time);
    const bool outer_valid = std::exchange(right_.valid_, true);
    f(std::as_const(right_));
    right_.time_ = outer_time;
    right_.valid_ = outer_valid;
  }

  // The times that may still come: batches that wait in this input included.
  FrontierView<T> frontier() const { return tracker_.frontier(location); }

  void ForwardWatermark(const internal::Watermark& watermark) override {
    for (size_t i = 0; i < right_.outputs_.size(); ++i) {
      if (!right_.outputs_[i].Keeps(watermark_changed_at_)) continue;
      node_.outputs[i]->PushWatermark(&watermark_changed_at_, watermark);
    }
  }

  // Made by OperatorBuilder.
  void SetOutputs(std::vector<internal::InputToOutput<T>> outputs) {
    right_.outputs_ = std::move(outputs);
  }

 private:
  template <class, class>
  friend class EpochOrder;

  [[noreturn, gnu::noinline]] void FailForEach() {
    graph_.errors().FailAndThrow(
        node_.step_id(),
        absl::FailedPreconditionError(
            right_.valid_ ? "ForEach was called by a function that ForEach of the same input had "
                            "called; keep the batch, and return"
                          : "ForEach was called outside of the step's logic; an input belongs to "
                            "the logic of its own step"));
  }

  ScopeTracker<T>& tracker_;
  CapabilityRef<T> right_;  // of the call under way: here, so that kept references are noticed
  T watermark_changed_at_ = TimestampTraits<T>::Minimum();
};

// An output of an operator.
template <class D, class T = Epoch>
class NodeOutput : public internal::OutputPortBase {
 public:
  NodeOutput(internal::Graph& graph, internal::Node& node, ScopeTracker<T>& tracker)
      : OutputPortBase(graph, node), tracker_(tracker), tee_(graph.worker().endpoint()) {}

  // Sends records at one time. A session ends with its scope, and has to end before the call of the
  // logic that began it returns; otherwise the run fails with FailedPrecondition.
  class Session {
   public:
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { --output_->open_sessions; }

    // Sends one record.
    template <class U = D>
    void Give(U&& record) {
      output_->Give(std::forward<U>(record));
    }
    // Sends a whole batch, without a copy.
    void GiveBatch(Batch<D>&& batch) { output_->GiveBatch(std::move(batch)); }

   private:
    friend class NodeOutput;
    explicit Session(NodeOutput* output) : output_(output) {
      ++output->open_sessions;
      output->has_sent = true;
    }
    NodeOutput* output_;
  };

  // Starts to send at the capability's time. Sessions of one output that are open together have the
  // same time. Another time, a capability that does not give the right to send, and a call from
  // outside of the step's logic are FailedPrecondition failures of the run.
  Session SessionAt(const Capability<T>& capability) {
    if (!capability.held() || capability.ledger_ != ledger_) {
      Fail(capability.held() ? "a capability of another output was used to send"
                             : "a capability was used after it had been dropped or moved");
    }
    RequireRunning();
    return SessionAtTime(capability.time());
  }
  Session SessionAt(const CapabilityRef<T>& right) {
    if (!right.MaySend(ledger_)) [[unlikely]] {
      FailWith(right);
    }
    RequireRunning();
    return SessionAtTime(right.time());
  }

  // For steps that have checked the right to send at this time themselves.
  Session SessionAtTime(const T& time) {
    if (!(time == time_)) ChangeTime(time);
    return Session(this);
  }

  // For inputs that the host feeds, which send outside of their logic.
  template <class U>
  void GiveByHand(const T& time, U&& record) {
    if (!(time == time_)) ChangeTime(time);
    if (!buffer_.TryAppend(std::forward<U>(record))) [[unlikely]] {
      // A record that was not appended was not moved from.
      // NOLINTNEXTLINE(bugprone-use-after-move)
      GiveToNewBatch(std::forward<U>(record));
    }
  }
  void GiveBatchByHand(const T& time, Batch<D>&& batch) {
    if (!(time == time_)) ChangeTime(time);
    GiveBatch(std::move(batch));
  }

  Hold AddHold(const Hold* of) override {
    T time = time_;
    if (of != nullptr) std::memcpy(&time, of->time, sizeof(T));
    Hold hold{this, {}, partitions == nullptr ? 0 : partitions->current};
    std::memcpy(hold.time, &time, sizeof(T));
    tracker_.Record(location, time, +1);
    ++hold_count;
    return hold;
  }
  void ReleaseHold(const Hold& hold) override {
    T time;
    std::memcpy(&time, hold.time, sizeof(T));
    if (--hold_count == 0 && held_watermark_.has_value()) {
      tee_.PushWatermark(time, *std::exchange(held_watermark_, std::nullopt));
    }
    tracker_.Record(location, time, -1);
    graph_.queue().MarkActive();
  }

  void PushWatermark(const void* time, const internal::Watermark& watermark) override {
    FlushOwnBuffer();
    T at;
    std::memcpy(&at, time, sizeof(T));
    internal::Watermark of_port = watermark;
    of_port.port = this;
    if (hold_count > 0) {
      held_watermark_ = of_port;
    } else {
      tee_.PushWatermark(at, of_port);
    }
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
  friend class SourceOutput<D>;

  // The buffer is empty when the logic returns, so a record from outside of it takes the slow path.
  template <class U>
  void Give(U&& record) {
    if (!buffer_.TryAppend(std::forward<U>(record))) [[unlikely]] {
      RequireRunning();
      // NOLINTNEXTLINE(bugprone-use-after-move): as above
      GiveToNewBatch(std::forward<U>(record));
    }
  }
  void GiveBatch(Batch<D>&& batch) {
    if (batch.empty()) return;
    FlushOwnBuffer();
    PushBatch(std::move(batch));
  }
  template <class U>
  void GiveToNewBatch(U&& record) {
    FlushOwnBuffer();
    buffer_.Allocate(graph_.worker().endpoint(), record);
    buffer_.TryAppend(std::forward<U>(record));
  }
  void ChangeTime(const T& time) {
    if (open_sessions > 0) [[unlikely]] {
      constexpr std::string_view kAdvice =
          " was open at the same output; end the first one before, with its scope";
      Fail(internal::Concat({"a session at time ", TimestampTraits<T>::Format(time),
                             " was begun while one at time ", TimestampTraits<T>::Format(time_),
                             kAdvice}));
    }
    FlushOwnBuffer();
    time_ = time;
  }
  void RequireRunning() {
    if (!node_.running) [[unlikely]] {
      Fail("its output was used outside of the step's logic; send from the logic, while it runs");
    }
  }
  [[noreturn, gnu::noinline]] void FailWith(const CapabilityRef<T>& right) {
    if (!right.valid()) {
      right.FailKept();
      throw internal::StepFailed();
    }
    Fail(internal::Concat({"a batch at time ", TimestampTraits<T>::Format(right.time()),
                           " gives no right to send at that time through this output; use a "
                           "capability for the time as it appears at the output"}));
  }
  [[noreturn, gnu::noinline]] void Fail(const std::string& message) {
    graph_.errors().FailAndThrow(node_.step_id(), absl::FailedPreconditionError(message));
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
  // The last watermark that came while transforms kept rests of batches.
  std::optional<internal::Watermark> held_watermark_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_NODE_IO_H_
