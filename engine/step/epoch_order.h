#ifndef HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_
#define HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/step/epoch_participant.h"
#include "engine/step/node_io.h"

namespace headway {

namespace internal {

// The last epoch of which nothing can come any more; none if even epoch 0 may still come.
template <class T>
std::optional<Epoch> LastEndedEpoch(const FrontierView<T>& frontier) {
  if (frontier.empty()) return std::numeric_limits<Epoch>::max();
  Epoch first = std::numeric_limits<Epoch>::max();
  for (const T& time : frontier.elements()) first = std::min(first, EpochOf(time));
  return first == 0 ? std::nullopt : std::optional(first - 1);
}

}  // namespace internal

// Applies the batches of an input in the order of their epochs and times if the run asks for it
// (RunOptions::apply_in_epoch_order), and in the order of their arrival otherwise. A batch of a
// later time waits, with capabilities, until no earlier one can come. So the effect of an epoch is
// complete before the next one begins. Belongs to an operator's logic, which has to run when the
// frontier changes. Prefer KeyedOperator, which contains one.
template <class D, class T = Epoch>
class EpochOrder {
 public:
  explicit EpochOrder(bool enabled) : enabled_(enabled) {}

  // Calls apply(const CapabilityRef<T>& time, Batch<D>& batch) for the batches that are due.
  template <class Apply>
  void ForEach(NodeInput<D, T>& input, Apply&& apply) {
    ForEach(
        input, [](const CapabilityRef<T>&) {}, apply, [](Epoch) { return true; },
        [](const CapabilityRef<T>&) {});
  }

  // The same, with three more functions. For each batch that comes, arrive(const CapabilityRef<T>&
  // time) is called. raised(const CapabilityRef<T>& time) is called when the watermark of the
  // node may have risen, and the records before it are applied. In epoch order begin(epoch) is
  // called before a batch of `epoch` is applied; if it returns false, the batch and all later ones
  // wait for the next call.
  template <class Arrive, class Apply, class Begin, class Raised>
  void ForEach(NodeInput<D, T>& input, Arrive&& arrive, Apply&& apply, Begin&& begin,
               Raised&& raised) {
    input.ForEach(
        [&](const CapabilityRef<T>& time, Batch<D>& batch) {
          arrive(time);
          if (!enabled_) {
            apply(time, batch);
          } else {
            Hold(input, time, batch);
          }
        },
        [&](const CapabilityRef<T>& time, const internal::ArrivedWatermark& watermark) {
          if (!enabled_) {
            Raise(input, time, watermark, raised);
          } else {
            Hold(input, time, watermark);
          }
        });
    // Batches that are left in the input count in its frontier.
    if (!waiting_.empty()) ApplyDue(input, apply, begin, raised);
  }

  // The earliest epoch of which a batch waits.
  std::optional<Epoch> first_waiting() const {
    if (waiting_.empty()) return std::nullopt;
    return internal::EpochOf(waiting_.begin()->first);
  }

 private:
  struct Waiting {
    std::vector<Capability<T>> capabilities;  // of each output
    std::vector<Batch<D>> batches;            // in the order of arrival
    // In the order of arrival: the last one of each sender, and those by which it became inactive.
    std::vector<internal::ArrivedWatermark> watermarks;
  };
  struct Resumed {
    Epoch epoch;
    internal::ArrivedWatermark watermark;
  };
  struct Earlier {
    bool operator()(const T& a, const T& b) const { return TimestampTraits<T>::TotalLess(a, b); }
  };

  void Hold(NodeInput<D, T>& input, const CapabilityRef<T>& time, Batch<D>& batch) {
    auto [entry, is_new] = waiting_.try_emplace(time.time());
    if (is_new) entry->second.capabilities = input.RetainAll(time);
    batch.Shrink(input.graph_.worker().endpoint());  // many small ones may have to wait
    entry->second.batches.push_back(std::move(batch));
  }

  // A watermark is applied in its own epoch, so that all workers have the same ones at its end.
  void Hold(NodeInput<D, T>& input, const CapabilityRef<T>& time,
            const internal::ArrivedWatermark& watermark) {
    auto [entry, is_new] = waiting_.try_emplace(time.time());
    if (is_new) entry->second.capabilities = input.RetainAll(time);
    std::vector<internal::ArrivedWatermark>& held = entry->second.watermarks;
    const auto last = std::find_if(held.rbegin(), held.rend(), [&](const auto& each) {
      return each.sender == watermark.sender;
    });
    if (last == held.rend() || (watermark.active && !last->active)) {
      held.push_back(watermark);
    } else {
      *last = watermark;
    }
  }

  // An input that has become inactive may raise the watermark of the node.
  template <class Raised>
  void Raise(NodeInput<D, T>& input, const CapabilityRef<T>& time,
             const internal::ArrivedWatermark& watermark, Raised& raised) {
    bool changed = false;
    if (enabled_ && input.watermarks().sender_count() > 1) {
      const Epoch epoch = internal::EpochOf(time.time());
      std::erase_if(resumed_, [&](const Resumed& resumed) {
        if (resumed.epoch < epoch) changed |= input.ApplyWatermark(time, resumed.watermark);
        return resumed.epoch < epoch || resumed.watermark.sender == watermark.sender;
      });
      // A sender that is active again holds the watermark back from the next epoch on. Else the
      // watermark would depend on which sender came first, and differ between the workers.
      if (watermark.active && !input.watermarks().IsActive(watermark.sender)) {
        resumed_.push_back({epoch, watermark});
        if (changed) raised(time);
        return;
      }
    }
    changed |= input.ApplyWatermark(time, watermark);
    if (changed) raised(time);
  }

  template <class Apply, class Begin, class Raised>
  void ApplyDue(NodeInput<D, T>& input, Apply& apply, Begin& begin, Raised& raised) {
    const std::optional<Epoch> last_ended = internal::LastEndedEpoch(input.frontier());
    for (auto entry = waiting_.begin(); entry != waiting_.end();) {
      const Epoch epoch = internal::EpochOf(entry->first);
      if (epoch > 0 && (!last_ended.has_value() || epoch - 1 > *last_ended)) return;
      if (input.frontier().LessThan(entry->first)) {
        ++entry;
        continue;
      }
      if (!begin(epoch)) return;
      input.WithRightAt(entry->first, [&](const CapabilityRef<T>& time) {
        for (Batch<D>& batch : entry->second.batches) apply(time, batch);
        for (const internal::ArrivedWatermark& watermark : entry->second.watermarks) {
          Raise(input, time, watermark, raised);
        }
      });
      entry = waiting_.erase(entry);
    }
  }

  const bool enabled_;
  std::map<T, Waiting, Earlier> waiting_;
  std::vector<Resumed> resumed_;  // senders that are active again
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_
