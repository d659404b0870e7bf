#include "engine/runtime/config.h"

#include <algorithm>
#include <utility>

namespace headway {

void StopHandle::RequestStop() {
  state_->requested.store(true, std::memory_order_seq_cst);
  std::lock_guard lock(state_->mutex);
  for (const std::function<void()>* listener : state_->listeners) (*listener)();
}

StopListener::StopListener(const StopHandle& handle, std::function<void()> listener)
    : handle_(handle), listener_(std::move(listener)) {
  std::lock_guard lock(handle_.state_->mutex);
  handle_.state_->listeners.push_back(&listener_);
}

StopListener::~StopListener() {
  std::lock_guard lock(handle_.state_->mutex);
  std::erase(handle_.state_->listeners, &listener_);
}

void internal::Log(const LogHook& hook, LogSeverity severity, std::string_view message) noexcept {
  if (hook == nullptr) return;
  try {
    hook(severity, message);
  } catch (...) {
  }
}

}  // namespace headway
