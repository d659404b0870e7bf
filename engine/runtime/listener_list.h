#ifndef HEADWAY_ENGINE_RUNTIME_LISTENER_LIST_H_
#define HEADWAY_ENGINE_RUNTIME_LISTENER_LIST_H_

#include <atomic>
#include <functional>

namespace headway::internal {

// Functions that are called when an event happens, on the thread on which it happens. That may be
// the thread of a signal handler, so a call takes no lock and allocates nothing.
//
// Thread safe. CallAll is also safe in a signal handler if the listeners are.
class ListenerList {
 public:
  ListenerList() = default;
  ~ListenerList();
  ListenerList(const ListenerList&) = delete;
  ListenerList& operator=(const ListenerList&) = delete;

  // `listener` outlives its place in the list. It is called from any thread, also by several at the
  // same time.
  void Add(const std::function<void()>& listener);
  // No thread is inside the listener when this returns, and none calls it later. REQUIRES: a
  // listener does not remove itself.
  void Remove(const std::function<void()>& listener);

  // Calls every listener. Leaves errno as it was.
  void CallAll();

 private:
  // Slots are used again, and freed with the list: a caller may be at any of them.
  struct Slot {
    std::atomic<const std::function<void()>*> listener{nullptr};  // null: free
    Slot* next = nullptr;
  };

  std::atomic<Slot*> first_{nullptr};
  std::atomic<int> callers_{0};  // threads and handlers in CallAll
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_LISTENER_LIST_H_
