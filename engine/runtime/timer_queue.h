#ifndef HEADWAY_ENGINE_RUNTIME_TIMER_QUEUE_H_
#define HEADWAY_ENGINE_RUNTIME_TIMER_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace headway::internal {

// The wake-ups of a worker's nodes at clock times, earliest first. Each request is one wake-up, so
// the requests of nodes bound the queue.
//
// Belongs to the worker's thread.
class TimerQueue {
 public:
  // Adds a wake-up of node `node` of dataflow `graph` at `nanos` of the run's clock.
  void Add(int64_t nanos, uint32_t graph, uint32_t node) {
    timers_.push_back({nanos, graph, node});
    std::push_heap(timers_.begin(), timers_.end(), std::greater<>());
  }
  // Removes the wake-ups of a node.
  void Remove(uint32_t graph, uint32_t node) {
    std::erase_if(timers_, [&](const Timer& t) { return t.graph == graph && t.node == node; });
    std::make_heap(timers_.begin(), timers_.end(), std::greater<>());
  }
  bool empty() const { return timers_.empty(); }
  // The time of the earliest wake-up. REQUIRES: not empty.
  int64_t next_nanos() const { return timers_.front().nanos; }

  // Returns true if f(graph, node) is true for some wake-up.
  template <class F>
  bool Any(F&& f) const {
    return std::any_of(timers_.begin(), timers_.end(),
                       [&](const Timer& timer) { return f(timer.graph, timer.node); });
  }

  // Removes the wake-ups that are due at `now`, and calls wake(graph, node) for each. Returns true
  // if there was any.
  template <class Wake>
  bool TakeDue(int64_t now, Wake&& wake) {
    bool any = false;
    while (!empty() && next_nanos() <= now) {
      const Timer timer = timers_.front();
      std::pop_heap(timers_.begin(), timers_.end(), std::greater<>());
      timers_.pop_back();
      wake(timer.graph, timer.node);
      any = true;
    }
    return any;
  }

 private:
  struct Timer {
    int64_t nanos;
    uint32_t graph;
    uint32_t node;
    bool operator>(const Timer& other) const { return nanos > other.nanos; }
  };

  std::vector<Timer> timers_;  // a min-heap
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_TIMER_QUEUE_H_
