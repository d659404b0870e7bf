#ifndef HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_
#define HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_

#include <map>
#include <utility>
#include <vector>

#include "engine/step/node_io.h"

namespace headway {

// An input that gives its batches to a step in the order of their times when the run asks for it
// (RunOptions::apply_in_epoch_order), and as they come otherwise. A batch of a later time waits,
// with a capability, until nothing can come before it; so what a step has applied when an epoch is
// complete contains nothing of the next one. Belongs to an operator's logic, which has to run when
// the frontier changes.
template <class D, class T = Epoch>
class EpochOrder {
 public:
  explicit EpochOrder(bool enabled) : enabled_(enabled) {}

  // Calls apply(time, Batch<D>&) for what may be applied now, where `time` is a CapabilityRef<T> or
  // a Capability<T>.
  template <class Apply>
  void ForEach(NodeInput<D, T>& input, Apply&& apply) {
    input.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
      if (!enabled_) {
        apply(time, batch);
      } else {
        auto entry = waiting_.find(time.time());
        if (entry == waiting_.end()) {
          entry = waiting_.emplace(time.time(), Waiting{time.Retain(), {}}).first;
        }
        batch.Shrink(input.graph_.worker().endpoint);  // many small ones may have to wait
        entry->second.batches.push_back(std::move(batch));
      }
    });
    // What still waits in the input may be earlier than what is here.
    if (!input.empty()) return;
    for (auto entry = waiting_.begin(); entry != waiting_.end();) {
      if (input.frontier().LessThan(entry->first)) {
        if constexpr (TimestampTraits<T>::kTotallyOrdered) break;  // and so are all later ones
        ++entry;
        continue;
      }
      for (Batch<D>& batch : entry->second.batches) apply(entry->second.capability, batch);
      entry = waiting_.erase(entry);
    }
  }

 private:
  struct Waiting {
    Capability<T> capability;
    std::vector<Batch<D>> batches;  // as they came
  };
  struct Earlier {
    bool operator()(const T& a, const T& b) const { return TimestampTraits<T>::TotalLess(a, b); }
  };

  const bool enabled_;
  std::map<T, Waiting, Earlier> waiting_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_EPOCH_ORDER_H_
