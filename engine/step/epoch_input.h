#ifndef HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_
#define HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_

#include <cstddef>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/runtime/snapshot_interval.h"
#include "engine/step/epoch_order.h"

namespace headway::internal {

// The input of a node that takes part in the ends of epochs: applies batches, in epoch order if the
// run asks for it, and closes an epoch once the frontier has passed it and its batches are applied.
// An epoch with batches stays open, by a capability of the output `ends`, until it is closed.
// Without that output no epoch is closed, and the node need not watch the frontier.
//
// An activation calls Apply, then CloseEnded. The functions that they take are
// apply(const CapabilityRef<T>& time, Batch<D>& batch), for a batch that is due, and close(Epoch),
// for an epoch that has ended. If close returns false, the end of the epoch is pending: nothing is
// applied or closed until a later call closes it.
template <class D, class T>
class EpochInput {
 public:
  EpochInput(NodeInput<D, T>& input, const RunOptions& options, std::optional<size_t> ends)
      : input_(input), order_(options.apply_in_epoch_order), ends_(ends), snapshots_(options) {}

  // Returns false if the end of an epoch is pending.
  template <class ApplyFn, class CloseFn>
  bool Apply(ApplyFn&& apply, CloseFn&& close) {
    if (pending_ && !CloseFirst(close)) return false;
    order_.ForEach(
        input_, [&](const CapabilityRef<T>& time) { KeepOpen(time); }, apply,
        [&](Epoch epoch) { return CloseBefore(epoch, close); });
    return !pending_;
  }

  // Closes the epochs that the frontier has passed and whose batches are applied. Returns false if
  // the end of one is pending.
  template <class Close>
  bool CloseEnded(Close&& close) {
    if (open_.empty()) return true;
    const std::optional<Epoch> last = LastEndedEpoch(input_.frontier());
    while (last.has_value() && !open_.empty() && open_.begin()->first <= *last) {
      // Batches wait until the input is empty, which may be long after the frontier passed them.
      const std::optional<Epoch> waiting = order_.first_waiting();
      if (waiting.has_value() && *waiting <= open_.begin()->first) return true;
      if (!CloseFirst(close)) return false;
    }
    return true;
  }

  // Closes the open epochs before `end`. REQUIRES: the frontier has passed them.
  template <class Close>
  bool CloseBefore(Epoch end, Close&& close) {
    while (!open_.empty() && open_.begin()->first < end) {
      if (!CloseFirst(close)) return false;
    }
    return true;
  }

  // Keeps the epoch of `time` open until it is closed, and the one in which its snapshot is taken.
  void KeepOpen(const CapabilityRef<T>& time) { KeepOpen(time, time.time()); }
  // The same for the epoch of a later time.
  void KeepOpen(const CapabilityRef<T>& time, const T& later) {
    if (!ends_.has_value()) return;
    auto [epoch, is_new] = open_.try_emplace(EpochOf(later));
    if (!is_new) return;
    epoch->second = time.Delayed(later, *ends_);
    if constexpr (std::is_same_v<T, Epoch>) {
      auto [last, is_new_too] = open_.try_emplace(snapshots_.LastOf(later));
      if (is_new_too) last->second = time.Delayed(last->first, *ends_);
    }
  }

  bool closes_epochs() const { return ends_.has_value(); }
  // The last epoch that is kept open.
  std::optional<Epoch> last_open() const {
    return open_.empty() ? std::nullopt : std::optional(open_.rbegin()->first);
  }

 private:
  template <class Close>
  bool CloseFirst(Close& close) {
    pending_ = !close(open_.begin()->first);
    if (pending_) return false;
    open_.erase(open_.begin());
    return true;
  }

  NodeInput<D, T>& input_;
  EpochOrder<D, T> order_;
  const std::optional<size_t> ends_;
  const SnapshotInterval snapshots_;
  std::map<Epoch, Capability<T>> open_;
  bool pending_ = false;  // the end of the first open epoch
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_
