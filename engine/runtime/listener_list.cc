#include "engine/runtime/listener_list.h"

#include <errno.h>
#include <sched.h>

#include <utility>

namespace headway::internal {

ListenerList::~ListenerList() {
  for (Slot* slot = first_.load(); slot != nullptr;) delete std::exchange(slot, slot->next);
}

void ListenerList::Add(const std::function<void()>& listener) {
  for (Slot* slot = first_.load(); slot != nullptr; slot = slot->next) {
    const std::function<void()>* free = nullptr;
    if (slot->listener.compare_exchange_strong(free, &listener)) return;
  }
  auto* slot = new Slot;
  slot->listener = &listener;
  slot->next = first_.load();
  while (!first_.compare_exchange_weak(slot->next, slot)) {
  }
}

void ListenerList::Remove(const std::function<void()>& listener) {
  for (Slot* slot = first_.load(); slot != nullptr; slot = slot->next) {
    const std::function<void()>* own = &listener;
    if (slot->listener.compare_exchange_strong(own, nullptr)) break;
  }
  // A handler that interrupts this thread ends before the thread continues.
  while (callers_.load() != 0) sched_yield();
}

void ListenerList::CallAll() {
  const int saved_errno = errno;
  callers_.fetch_add(1);
  for (Slot* slot = first_.load(); slot != nullptr; slot = slot->next) {
    if (const std::function<void()>* listener = slot->listener.load()) (*listener)();
  }
  callers_.fetch_sub(1);
  errno = saved_errno;
}

}  // namespace headway::internal
