#include "engine/runtime/config.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"

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

absl::Status internal::ValidateEpochConfig(const EpochConfig& config) {
  const auto* periodic = std::get_if<PeriodicEpochConfig>(&config);
  if (periodic != nullptr && periodic->epoch_length <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "epoch_length must be positive, not %s; use RecordCountEpochConfig to close an epoch after "
        "each record",
        absl::FormatDuration(periodic->epoch_length)));
  }
  const auto* counted = std::get_if<RecordCountEpochConfig>(&config);
  if (counted != nullptr && counted->records_per_epoch < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "records_per_epoch must be at least 1, not %d", counted->records_per_epoch));
  }
  return absl::OkStatus();
}

void internal::Log(const LogHook& hook, LogSeverity severity, std::string_view message) noexcept {
  if (hook == nullptr) return;
  try {
    hook(severity, message);
  } catch (...) {
  }
}

}  // namespace headway
