#ifndef HEADWAY_ENGINE_GRAPH_CAPABILITY_H_
#define HEADWAY_ENGINE_GRAPH_CAPABILITY_H_

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "engine/graph/graph.h"
#include "engine/runtime/concat.h"
#include "progress/tracker.h"

namespace headway {

template <class T = Epoch>
class Capability;

namespace internal {

// Counts the capabilities of one output of one node. Its capabilities share it by a plain reference
// count, since all of them live on one thread. A ledger outlives its dataflow as long as a
// capability does. It is closed when the dataflow is taken down; using a capability has no effect
// after that.
class CapabilityLedgerBase {
 public:
  CapabilityLedgerBase(Graph* graph, Node* node, LocationId location)
      : graph_(graph), node_(node), location_(location) {}
  virtual ~CapabilityLedgerBase() = default;

  bool open() const { return graph_ != nullptr; }
  void Close() {
    graph_ = nullptr;
    Unref();
  }
  void Ref() { ++references_; }
  void Unref() {
    if (--references_ == 0) delete this;
  }
  // The capabilities of this worker that are held now.
  int64_t held_count() const { return held_count_; }
  LocationId location() const { return location_; }
  // REQUIRES: open().
  const Node& node() const { return *node_; }

  void Fail(std::string_view message) {
    if (open())
      graph_->errors().Fail(node_->step_id(), absl::FailedPreconditionError(std::string(message)));
  }

 protected:
  Graph* graph_;
  Node* node_;
  LocationId location_;
  int references_ = 1;  // the graph's
  int64_t held_count_ = 0;
};

template <class T>
class CapabilityLedger : public CapabilityLedgerBase {
 public:
  CapabilityLedger(Graph* graph, Node* node, LocationId location, ScopeTracker<T>* tracker)
      : CapabilityLedgerBase(graph, node, location), tracker_(tracker) {}

  void Record(const T& time, int delta) {
    held_count_ += delta;
    if (!open()) return;
    tracker_->Record(location_, time, delta);
    graph_->queue().MarkActive();
  }
  // A capability that the tracker counts already was made.
  void CountInitial() { ++held_count_; }
  void RecordMove(const T& from, const T& to) {
    if (!open()) return;
    tracker_->RecordMove(location_, from, to);
    graph_->queue().MarkActive();
  }

 private:
  ScopeTracker<T>* tracker_;
};

// Makes capabilities. Minting adds to the count; adopting takes over a count that the graph holds
// already.
struct CapabilityFactory {
  template <class T>
  static Capability<T> Mint(CapabilityLedger<T>& ledger, const T& time) {
    ledger.Record(time, +1);
    return Capability<T>(&ledger, time);
  }
  template <class T>
  static Capability<T> Adopt(CapabilityLedger<T>& ledger, const T& time) {
    ledger.CountInitial();
    return Capability<T>(&ledger, time);
  }
};

}  // namespace internal

// The right of an operator to send at time() or later through one output. As long as it is held, no
// frontier downstream passes time(); dropping it lets the frontiers advance. Move-only; lives on
// its worker's thread; without effect once its dataflow is gone. Misuse (a time that is neither the
// same nor later, use after a drop) ends the run with FailedPrecondition. Source: timely dataflow.
template <class T>
class Capability {
 public:
  Capability() = default;
  Capability(Capability&& other) noexcept
      : ledger_(other.ledger_), held_(std::exchange(other.held_, false)), time_(other.time_) {
    if (ledger_ != nullptr) ledger_->Ref();  // the moved-from one reports its misuse
  }
  // Drops the capability that was held before.
  Capability& operator=(Capability&& other) noexcept {
    Capability taken(std::move(other));
    std::swap(ledger_, taken.ledger_);
    std::swap(held_, taken.held_);
    std::swap(time_, taken.time_);
    return *this;
  }
  ~Capability() {
    Drop();
    if (ledger_ != nullptr) ledger_->Unref();
  }

  // False after a drop or a move, and for one that was default-constructed.
  bool held() const { return held_; }
  const T& time() const { return time_; }

  Capability Clone() const { return Delayed(time_); }

  // A further capability, for a time that is this one's or later.
  Capability Delayed(const T& time) const {
    if (!MayMoveTo(time)) return Capability();
    return internal::CapabilityFactory::Mint(*ledger_, time);
  }

  // Gives up the times that are not `time` or later.
  void Downgrade(const T& time) {
    if (!MayMoveTo(time) || time == time_) return;
    ledger_->RecordMove(time_, time);
    time_ = time;
  }

  // Gives up the times that can no longer arrive at an input: the capability follows the input's
  // frontier. When the frontier is empty the time stays, so that a step can emit its last records.
  // For totally ordered times.
  template <class Frontier>
  void Follow(const Frontier& frontier) {
    static_assert(TimestampTraits<T>::kTotallyOrdered, "Follow is for totally ordered times");
    if (!held_ || frontier.empty()) return;
    const T first = frontier.elements()[0];
    if (!TimestampTraits<T>::LessEqual(first, time_)) Downgrade(first);
  }

  void Drop() {
    if (std::exchange(held_, false)) ledger_->Record(time_, -1);
  }

 private:
  friend struct internal::CapabilityFactory;
  template <class D, class U>
  friend class NodeOutput;

  Capability(internal::CapabilityLedger<T>* ledger, const T& time)
      : ledger_(ledger), held_(true), time_(time) {
    ledger_->Ref();
  }

  bool MayMoveTo(const T& time) const {
    if (!held_) {
      if (ledger_ != nullptr)
        ledger_->Fail("a capability was used after it had been dropped or moved");
      return false;
    }
    if (TimestampTraits<T>::LessEqual(time_, time)) return true;
    ledger_->Fail(internal::Concat({"a capability for time ", TimestampTraits<T>::Format(time_),
                                    " cannot be used for ", TimestampTraits<T>::Format(time),
                                    ", which is neither that nor later"}));
    return false;
  }

  internal::CapabilityLedger<T>* ledger_ = nullptr;
  bool held_ = false;
  T time_ = TimestampTraits<T>::Minimum();
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_GRAPH_CAPABILITY_H_
