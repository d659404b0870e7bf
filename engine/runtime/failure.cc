#include "engine/runtime/failure.h"

#include <utility>

#include "engine/runtime/failure_origin.h"

namespace headway::internal {

Failure::Failure(absl::Status out_of_memory, std::function<void(const absl::Status&)> on_failure)
    : out_of_memory_(std::move(out_of_memory)), on_failure_(std::move(on_failure)) {}

void Failure::Report(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (occurred()) return;
    status_ = status;
    occurred_.store(true, std::memory_order_release);
  }
  on_failure_(status);
}

absl::Status Failure::status() const {
  return occurred() ? WithoutMark(marked_status()) : absl::OkStatus();
}

absl::Status Failure::marked_status() const {
  if (!occurred()) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace headway::internal
