#ifndef HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
#define HEADWAY_ENGINE_STEP_NOTIFICATOR_H_

#include <map>
#include <optional>
#include <utility>

#include "engine/graph/capability.h"
#include "progress/tracker.h"

namespace headway {

// Keeps capabilities, and returns each once its time is complete, that is, once no input can
// receive that time or an earlier one. Earliest first; a time that was asked for several times is
// returned once. Belongs to an operator's logic. Source: timely dataflow.
template <class T = Epoch>
class Notificator {
 public:
  // Asks for a notification when capability.time() is complete.
  void NotifyAt(Capability<T> capability) {
    const T time = capability.time();
    waiting_.try_emplace(time, std::move(capability));
  }

  // Returns the capability of the next complete time, if there is one. `frontier` is that of the
  // operator's input, or those of its inputs.
  template <class... Frontier>
  std::optional<Capability<T>> Next(const Frontier&... frontier) {
    for (auto next = waiting_.begin(); next != waiting_.end(); ++next) {
      if ((frontier.LessEqual(next->first) || ...)) {
        // Among totally ordered times those after an incomplete one are incomplete too.
        if (TimestampTraits<T>::kTotallyOrdered) return std::nullopt;
        continue;
      }
      Capability<T> capability = std::move(next->second);
      waiting_.erase(next);
      return capability;
    }
    return std::nullopt;
  }

  bool empty() const { return waiting_.empty(); }

 private:
  struct Earlier {
    bool operator()(const T& a, const T& b) const { return TimestampTraits<T>::TotalLess(a, b); }
  };

  std::map<T, Capability<T>, Earlier> waiting_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
