#ifndef HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
#define HEADWAY_ENGINE_STEP_NOTIFICATOR_H_

#include <cstddef>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/graph/capability.h"
#include "progress/tracker.h"

namespace headway {

// Keeps capabilities, and returns each once its time is complete, that is, once no input can
// receive that time or an earlier one. Earliest first; a time that was asked for several times is
// returned once. Belongs to an operator's logic. Source: timely dataflow.
//
// Costs O(log n) for each of n times. If times are partially ordered, all that wait are compared
// with the frontier once after each change of it.
template <class T = Epoch>
class Notificator {
 public:
  // Asks for a notification when capability.time() is complete.
  void NotifyAt(Capability<T> capability) {
    const T time = capability.time();
    if (complete_.contains(time)) return;
    if (waiting_.try_emplace(time, std::move(capability)).second && !Traits::kTotallyOrdered) {
      unchecked_.push_back(time);
    }
  }

  // Returns the capability of the next complete time, if there is one. `frontier` is that of the
  // operator's input, or those of its inputs.
  template <class... Frontier>
  std::optional<Capability<T>> Next(const Frontier&... frontier) {
    if constexpr (Traits::kTotallyOrdered) {
      // The times after an incomplete one are incomplete too.
      if (waiting_.empty() || (frontier.LessEqual(waiting_.begin()->first) || ...)) {
        return std::nullopt;
      }
      return Take(&waiting_);
    } else {
      Check(frontier...);
      if (complete_.empty()) return std::nullopt;
      return Take(&complete_);
    }
  }

  bool empty() const { return waiting_.empty() && complete_.empty(); }

 private:
  using Traits = TimestampTraits<T>;
  struct Earlier {
    bool operator()(const T& a, const T& b) const { return Traits::TotalLess(a, b); }
  };
  using Capabilities = std::map<T, Capability<T>, Earlier>;

  static Capability<T> Take(Capabilities* from) {
    return std::move(from->extract(from->begin()).mapped());
  }

  // Moves the waiting times that have become complete.
  template <class... Frontier>
  void Check(const Frontier&... frontier) {
    const auto is_complete = [&](const T& time) { return !(frontier.LessEqual(time) || ...); };
    if (StoreFrontiers(frontier...)) {
      for (auto next = waiting_.begin(); next != waiting_.end();) {
        const auto entry = next++;
        if (is_complete(entry->first)) complete_.insert(waiting_.extract(entry));
      }
    } else {
      for (const T& time : unchecked_) {
        if (!is_complete(time)) continue;
        if (auto entry = waiting_.extract(time)) complete_.insert(std::move(entry));
      }
    }
    unchecked_.clear();
  }

  // Returns true if the frontiers differ from those of the last call.
  template <class... Frontier>
  bool StoreFrontiers(const Frontier&... frontier) {
    std::vector<T> elements;
    std::vector<size_t> ends;
    (..., (elements.insert(elements.end(), frontier.elements().begin(), frontier.elements().end()),
           ends.push_back(elements.size())));
    if (elements == elements_ && ends == ends_) return false;
    elements_ = std::move(elements);
    ends_ = std::move(ends);
    return true;
  }

  Capabilities waiting_;
  // For partially ordered times.
  Capabilities complete_;
  std::vector<T> unchecked_;  // in waiting_, and not compared with the frontiers yet
  std::vector<T> elements_;   // of the frontiers that waiting_ was compared with
  std::vector<size_t> ends_;  // of each frontier in elements_
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_NOTIFICATOR_H_
