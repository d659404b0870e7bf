#include "engine/runtime/config.h"

#include <utility>
#include <variant>

#include "absl/strings/str_format.h"

namespace headway {

void StopHandle::RequestStop() const {
  state_->requested.store(true, std::memory_order_seq_cst);
  state_->listeners.CallAll();
}

StopListener::StopListener(const StopHandle& handle, std::function<void()> listener)
    : handle_(handle), listener_(std::move(listener)) {
  handle_.state_->listeners.Add(listener_);
}

StopListener::~StopListener() { handle_.state_->listeners.Remove(listener_); }

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
