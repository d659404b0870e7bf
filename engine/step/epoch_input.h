#ifndef HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_
#define HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/runtime/snapshot_interval.h"
#include "engine/step/epoch_order.h"
#include "engine/step/further_input.h"

namespace headway::internal {

// The input of a node that takes part in the ends of epochs: applies batches, in epoch order if
// `in_order`, and closes an epoch once the frontier has passed it and its batches are applied. An
// epoch with batches stays open, by a capability of the output `ends`, until it is closed. Without
// that output no epoch is closed, and the node need not watch the frontier.
//
// The node may have further inputs. An epoch is closed when all of them have passed it, and in
// epoch order no batch of a later epoch is applied before.
//
// An activation calls Apply, then CloseEnded. The functions that they take are
// apply(const CapabilityRef<T>& time, Batch<D>& batch), for a batch that is due, and close(Epoch),
// for an epoch that has ended. A third one, raised(const CapabilityRef<T>& time), is for a higher
// watermark of the input. If close returns false, the end of the epoch is pending: nothing is
// applied or closed until a later call closes it.
template <class D, class T>
class EpochInput {
 public:
  EpochInput(NodeInput<D, T>& input, const RunOptions& options, std::optional<size_t> ends,
             bool in_order, FurtherInputs<T> further = {})
      : input_(input),
        order_(in_order),
        ends_(ends),
        snapshots_(options),
        further_(std::move(further)) {}

  // Returns false if the end of an epoch is pending.
  template <class ApplyFn, class CloseFn, class RaisedFn>
  bool Apply(ApplyFn&& apply, CloseFn&& close, RaisedFn&& raised) {
    if (pending_ && !CloseFirst(close)) return false;
    auto arrive = [&](const CapabilityRef<T>& time) { KeepOpen(time); };
    if (further_.empty()) {
      order_.ForEach(
          input_, arrive, apply, [&](Epoch epoch) { return CloseBefore(epoch, close); }, raised);
    } else {
      ApplyAll(
          arrive, apply, [&](Epoch epoch) { return MayBegin(epoch) && CloseBefore(epoch, close); },
          raised);
    }
    return !pending_;
  }

  // Closes the epochs that the frontier has passed and whose batches are applied. Returns false if
  // the end of one is pending.
  template <class Close>
  bool CloseEnded(Close&& close) {
    if (open_.empty()) return true;
    const std::optional<Epoch> last = LastEnded();
    while (last.has_value() && !open_.empty() && open_.begin()->first <= *last) {
      // Batches wait until the input is empty, which may be long after the frontier passed them.
      const std::optional<Epoch> waiting = FirstWaiting();
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

  // The frontier of the input that is behind the others. For totally ordered times.
  FrontierView<T> frontier() const {
    FrontierView<T> least = input_.frontier();
    for (const auto& each : further_) {
      const FrontierView<T> other = each->frontier();
      if (other.empty()) continue;
      if (least.empty() || other.elements()[0] < least.elements()[0]) least = other;
    }
    return least;
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

  // The inputs take turns in being first, since an activation takes a bounded number of batches.
  // Progress of one input may make batches of another due that was asked before.
  template <class Arrive, class ApplyFn, class Begin, class Raised>
  void ApplyAll(Arrive& arrive, ApplyFn& apply, Begin begin, Raised& raised) {
    const size_t count = further_.size() + 1;
    first_ = (first_ + 1) % count;
    for (size_t i = first_, asked = 0; asked < count; i = (i + 1) % count, ++asked) {
      const std::optional<Epoch> before = WaitingAt(i);
      if (i == 0) {
        order_.ForEach(input_, arrive, apply, begin, raised);
      } else {
        further_[i - 1]->Apply(arrive, begin, raised);
      }
      if (before != WaitingAt(i) && before.has_value()) asked = 0;
    }
  }

  std::optional<Epoch> WaitingAt(size_t i) const {
    return i == 0 ? order_.first_waiting() : further_[i - 1]->first_waiting();
  }

  // Whether no input has a batch of an earlier epoch, or can get one.
  bool MayBegin(Epoch epoch) const {
    if (const std::optional<Epoch> waiting = FirstWaiting(); waiting < epoch && waiting)
      return false;
    return epoch == 0 || LastEnded() >= epoch - 1;
  }

  std::optional<Epoch> FirstWaiting() const {
    std::optional<Epoch> first = order_.first_waiting();
    for (const auto& each : further_) {
      const std::optional<Epoch> waiting = each->first_waiting();
      if (waiting.has_value()) first = std::min(*waiting, first.value_or(*waiting));
    }
    return first;
  }

  // The last epoch that has ended at all inputs.
  std::optional<Epoch> LastEnded() const {
    std::optional<Epoch> last = LastEndedEpoch(input_.frontier());
    for (const auto& each : further_) last = std::min(last, LastEndedEpoch(each->frontier()));
    return last;
  }

  NodeInput<D, T>& input_;
  EpochOrder<D, T> order_;
  const std::optional<size_t> ends_;
  const SnapshotInterval snapshots_;
  std::map<Epoch, Capability<T>> open_;
  bool pending_ = false;  // the end of the first open epoch
  FurtherInputs<T> further_;
  size_t first_ = 0;  // the input that is asked first
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_EPOCH_INPUT_H_
