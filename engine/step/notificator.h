#ifndef HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
#define HEADWAY_ENGINE_STEP_NOTIFICATOR_H_

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "engine/graph/capability.h"
#include "progress/tracker.h"

namespace headway {

// Keeps capabilities and gives them back once nothing can come at or before their time any more,
// earliest first; each time once, however often it was asked for. Belongs to an operator's logic.
// Source: timely dataflow.
template <class T = Epoch>
class Notificator {
 public:
  // Asks to be told when capability.time() is complete.
  void NotifyAt(Capability<T> capability) {
    auto at = std::lower_bound(waiting_.begin(), waiting_.end(), capability.time(), Later);
    if (at != waiting_.end() && at->time() == capability.time()) return;
    waiting_.insert(at, std::move(capability));
  }

  // The next complete time's capability, if there is one. `frontier` is that of the operator's
  // input, or inputs.
  template <class... Frontier>
  std::optional<Capability<T>> Next(const Frontier&... frontier) {
    for (size_t i = waiting_.size(); i-- > 0;) {
      if ((frontier.LessEqual(waiting_[i].time()) || ...)) {
        // Among totally ordered times those after an incomplete one are incomplete too.
        if (TimestampTraits<T>::kTotallyOrdered) return std::nullopt;
        continue;
      }
      Capability<T> capability = std::move(waiting_[i]);
      waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
      return capability;
    }
    return std::nullopt;
  }

  bool empty() const { return waiting_.empty(); }

 private:
  static bool Later(const Capability<T>& a, const T& b) {
    return TimestampTraits<T>::TotalLess(b, a.time());
  }

  std::vector<Capability<T>> waiting_;  // latest first, so that the earliest leaves from the back
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
