#include "engine/runtime/restarts.h"

#include <algorithm>

#include "engine/runtime/failure_origin.h"

namespace headway::internal {

std::optional<absl::Duration> Restarts::AfterFailure(const absl::Status& failure,
                                                     int64_t now_nanos) {
  if (absl::IsInvalidArgument(failure) || absl::IsCancelled(failure)) return std::nullopt;
  if (absl::IsUnavailable(failure) && IsUnconnected(failure)) return std::nullopt;
  const int64_t window_begin = now_nanos - absl::ToInt64Nanoseconds(config_.window);
  while (!failures_.empty() && failures_.front() < window_begin) failures_.pop_front();
  // A run that worked for a whole window has not failed in a row.
  const bool is_same = !failures_.empty() && failure.message() == last_message_;
  same_in_a_row_ = is_same ? same_in_a_row_ + 1 : 1;
  last_message_ = std::string(failure.message());
  // The loss of a process says nothing of its cause, which may be another one each time.
  if (same_in_a_row_ >= kSameInARow && !absl::IsUnavailable(failure)) return std::nullopt;
  if (static_cast<int>(failures_.size()) >= config_.max_restarts) return std::nullopt;
  failures_.push_back(now_nanos);
  // The first restart is at once: most failures are over by then.
  if (failures_.size() == 1) return absl::ZeroDuration();
  const auto doublings = static_cast<int>(std::min<size_t>(failures_.size() - 2, 10));
  return std::min(config_.backoff * (1 << doublings), kLongestBackoff);
}

}  // namespace headway::internal
