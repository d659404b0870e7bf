#ifndef HEADWAY_ENGINE_STEP_EPOCH_INPUTS_H_
#define HEADWAY_ENGINE_STEP_EPOCH_INPUTS_H_

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/runtime/snapshot_interval.h"
#include "engine/step/epoch_order.h"

namespace headway {

template <class T>
class OperatorBuilder;

// The inputs of an operator with state: applies their batches in the order of epochs if the run
// asks for it (RunOptions::apply_in_epoch_order), and in the order of their arrival otherwise. In
// epoch order, an epoch is closed when no input can get a batch of it any more and all its batches
// are applied; no batch of a later epoch is applied before. When it closes, recovery takes a
// snapshot of the operator's state. Made by OperatorBuilder::OrderEpochs. Lives as long as the
// dataflow. Belongs to the operator's logic:
//
//   builder.BuildWithoutCapabilities([&] {
//     epochs.ForEach(left, [&](const CapabilityRef<T>& time, Batch<L>& batch) { ... });
//     epochs.ForEach(right, [&](const CapabilityRef<T>& time, Batch<R>& batch) { ... });
//     epochs.CloseEnded();
//   });
//
// All changes of state belong between the start of the logic and CloseEnded, those for a complete
// time included: notificator.Next(epochs.frontier()). Without epoch order it does nothing but call
// NodeInput::ForEach.
template <class T = Epoch>
class EpochInputs {
 public:
  EpochInputs(internal::Graph& graph, internal::Node& node, ScopeTracker<T>& tracker)
      : graph_(graph), node_(node), tracker_(tracker), snapshots_(graph.worker().run().options()) {}

  // Calls apply(const CapabilityRef<T>& time, Batch<D>& batch) for the batches of `input` that are
  // due. Other batches wait, with capabilities, and the operator runs again when they are due.
  template <class D, class Apply>
  void ForEach(NodeInput<D, T>& input, Apply&& apply) {
    if (!ends_.has_value()) {
      input.ForEach(apply);
      return;
    }
    OrderOf(input).ForEach(
        input, [&](const CapabilityRef<T>& time) { KeepOpen(time); },
        [&](const CapabilityRef<T>& time, Batch<D>& batch) {
          apply(time, batch);
          --open_.find(internal::EpochOf(time.time()))->second.waiting;
        },
        [&](Epoch epoch) { return MayBegin(epoch); }, [](const CapabilityRef<T>&) {});
  }

  // The epochs that may still change the state: those that may still come at some input, and those
  // whose batches wait. For a Notificator, in place of the frontiers of the inputs.
  class OpenEpochs {
   public:
    // Whether an epoch up to `epoch` is open.
    bool LessEqual(Epoch epoch) const { return inputs_.IsOpen(epoch); }

   private:
    friend class EpochInputs;
    explicit OpenEpochs(const EpochInputs& inputs) : inputs_(inputs) {}
    const EpochInputs& inputs_;
  };
  OpenEpochs frontier() const {
    static_assert(std::is_same_v<T, Epoch>, "EpochInputs::frontier is for the root scope");
    return OpenEpochs(*this);
  }

  // Asks for a call of the function that CloseEnded takes, when `epoch` has ended, with the right
  // to send at it through output 0. `epoch` must not be before the time of the batch. A second
  // request of an epoch has no effect. For state that is due in a later epoch: unlike a
  // Notificator, it keeps that epoch open until the function has changed the state.
  void NotifyAt(const CapabilityRef<T>& time, Epoch epoch) {
    static_assert(std::is_same_v<T, Epoch>, "EpochInputs::NotifyAt is for the root scope");
    auto [notified, is_new] = notified_.try_emplace(epoch);
    if (!is_new) return;
    notified->second = time.Delayed(epoch);
    if (ends_.has_value()) Open(time, epoch);
  }

  // Whether a batch of an epoch up to `epoch` waits.
  bool HasWaiting(Epoch epoch) const {
    for (auto open = open_.begin(); open != open_.end() && open->first <= epoch; ++open) {
      if (open->second.waiting > 0) return true;
    }
    return false;
  }

  // Closes the epochs that have ended. The logic calls it last.
  void CloseEnded() {
    CloseEnded([](const Capability<T>&) { return true; });
  }
  // The same, with a function for the epochs that NotifyAt got: at_end(const Capability<T>& time),
  // in ascending order. If it returns false, it is called again for the same epoch when the outputs
  // have credit: for work that emits many records.
  template <class AtEnd>
  void CloseEnded(AtEnd&& at_end) {
    first_.Drop();  // whatever was restored asks for its epochs by now
    if (open_.empty() && notified_.empty()) return;
    const std::optional<Epoch> last = LastEnded();
    if (!last.has_value()) return;
    const bool done = ends_.has_value() ? CloseUpTo(*last, at_end) : NotifyUpTo(*last, at_end);
    if (!done) graph_.queue().Activate(node_);
  }

 private:
  friend class OperatorBuilder<T>;

  struct OpenEpoch {
    Capability<T> end;   // of the output `ends_`: the epoch is not complete before it is closed
    size_t waiting = 0;  // batches
  };
  struct OrderedInput {
    const internal::InputPortBase* input;
    std::shared_ptr<void> order;  // an EpochOrder of the input's type
  };

  // For a run in epoch order: `ends` is an output that nobody reads.
  void Start(size_t ends, std::vector<EpochParticipant*> states) {
    ends_ = ends;
    states_ = std::move(states);
  }

  template <class D>
  EpochOrder<D, T>& OrderOf(const NodeInput<D, T>& input) {
    for (const OrderedInput& each : orders_) {
      if (each.input == &input) return *static_cast<EpochOrder<D, T>*>(each.order.get());
    }
    auto order = std::make_shared<EpochOrder<D, T>>(/*enabled=*/true);
    orders_.push_back({&input, order});
    return *order;
  }

  // Keeps restored state able to ask for later epochs, until the first call of CloseEnded: `first`
  // is the initial capability of the output `ends`.
  void HoldFirst(Capability<T> first) { first_ = std::move(first); }

  void KeepOpen(const CapabilityRef<T>& time) { ++Open(time, time.time()).waiting; }
  // Opens the epoch of `at`, a time that is `time` or later, and the last one of its group.
  OpenEpoch& Open(const CapabilityRef<T>& time, const T& at) {
    auto [open, is_new] = open_.try_emplace(internal::EpochOf(at));
    if (is_new) open->second.end = time.Delayed(at, *ends_);
    if constexpr (std::is_same_v<T, Epoch>) {
      auto [last, is_new_too] = open_.try_emplace(snapshots_.LastOf(at));
      if (is_new_too) last->second.end = time.Delayed(last->first, *ends_);
    }
    return open->second;
  }

  // Returns false if more can be done at once.
  template <class AtEnd>
  bool CloseUpTo(Epoch last, AtEnd& at_end) {
    bool closed = false;
    while (!open_.empty() && open_.begin()->first <= last && open_.begin()->second.waiting == 0) {
      const Epoch epoch = open_.begin()->first;
      if (!NotifyUpTo(epoch, at_end)) return false;
      for (EpochParticipant* state : states_) state->TellClosed(epoch);
      open_.erase(open_.begin());
      closed = true;
    }
    // The batches of the next epoch, and the times of a Notificator, were not due before.
    return !closed;
  }
  template <class AtEnd>
  bool NotifyUpTo(Epoch last, AtEnd& at_end) {
    while (!notified_.empty() && notified_.begin()->first <= last) {
      if (!at_end(std::as_const(notified_.begin()->second))) return false;
      notified_.erase(notified_.begin());
    }
    return true;
  }

  bool IsOpen(Epoch epoch) const {
    const std::optional<Epoch> last = LastEnded();
    if (!last.has_value() || *last < epoch) return true;
    if (open_.empty() || open_.begin()->first > epoch) return false;
    return open_.begin()->first < epoch || open_.begin()->second.waiting > 0;
  }

  // Whether all earlier epochs are closed, and no input can get a batch of one.
  bool MayBegin(Epoch epoch) const {
    if (!open_.empty() && open_.begin()->first < epoch) return false;
    const std::optional<Epoch> last = LastEnded();
    return epoch == 0 || (last.has_value() && *last >= epoch - 1);
  }

  // The last epoch of which no input can get a batch any more.
  std::optional<Epoch> LastEnded() const {
    std::optional<Epoch> last = std::numeric_limits<Epoch>::max();
    for (const internal::InputPortBase* input : node_.inputs) {
      last = std::min(last, internal::LastEndedEpoch(tracker_.frontier(input->location)));
    }
    return last;
  }

  internal::Graph& graph_;
  internal::Node& node_;
  ScopeTracker<T>& tracker_;
  const internal::SnapshotInterval snapshots_;
  std::optional<size_t> ends_;
  std::vector<EpochParticipant*> states_;
  std::vector<OrderedInput> orders_;  // of the inputs that ForEach got
  std::map<Epoch, OpenEpoch> open_;   // epochs with batches or notifications
  std::map<Epoch, Capability<T>> notified_;
  Capability<T> first_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_EPOCH_INPUTS_H_
