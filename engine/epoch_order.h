#ifndef HEADWAY_ENGINE_EPOCH_ORDER_H_
#define HEADWAY_ENGINE_EPOCH_ORDER_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "headway/engine/node_io.h"

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
        waiting_.push_back({arrivals_++, time.Retain(), std::move(batch)});
      }
    });
    // What still waits in the input may be earlier than what is here.
    if (waiting_.empty() || !input.empty()) return;
    std::sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
      const T& left = a.capability.time();
      const T& right = b.capability.time();
      if (TimestampTraits<T>::TotalLess(left, right)) return true;
      return !TimestampTraits<T>::TotalLess(right, left) && a.arrival < b.arrival;
    });
    std::vector<Waiting> still_waiting;
    for (Waiting& entry : waiting_) {
      if (input.frontier().LessThan(entry.capability.time())) {
        still_waiting.push_back(std::move(entry));
      } else {
        apply(entry.capability, entry.batch);
      }
    }
    waiting_ = std::move(still_waiting);
  }

 private:
  struct Waiting {
    uint64_t arrival;  // batches of one time keep their order
    Capability<T> capability;
    Batch<D> batch;
  };

  const bool enabled_;
  std::vector<Waiting> waiting_;
  uint64_t arrivals_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_EPOCH_ORDER_H_
