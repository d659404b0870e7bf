#include "operators/io/poll_schedule.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/cord.h"

namespace headway {
namespace {

constexpr char kRetryPayload[] = "headway/retry_after";

// Sums of a few such times do not overflow.
int64_t Nanos(absl::Duration duration) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 8;
  return std::clamp(absl::ToInt64Nanoseconds(duration), -kMax, kMax);
}

}  // namespace

absl::Status RetryAfter(absl::Duration timeout, std::string_view reason) {
  absl::Status status = absl::UnavailableError(absl::string_view(reason.data(), reason.size()));
  const std::string text = absl::FormatDuration(timeout);
  // Cord's constructor for strings has other names in a library that GCC built.
  status.SetPayload(kRetryPayload, absl::Cord(absl::string_view(text)));
  return status;
}

namespace internal {

std::optional<absl::Duration> RetryTimeOf(const absl::Status& status) {
  if (status.ok()) return std::nullopt;
  const auto payload = status.GetPayload(kRetryPayload);
  absl::Duration timeout;
  if (!payload.has_value() || !absl::ParseDuration(std::string(*payload), &timeout)) {
    return std::nullopt;
  }
  return std::max(timeout, absl::ZeroDuration());
}

PollSchedule::PollSchedule(Clock& clock, absl::Duration interval,
                           std::optional<absl::Time> align_to)
    : clock_(&clock), interval_(interval), align_to_(align_to) {
  regular_nanos_ = clock.NowNanos();
  if (align_to.has_value()) {
    const absl::Duration since = SinceAligned();
    if (since > absl::ZeroDuration()) regular_nanos_ += Nanos(interval - since);
  }
  next_nanos_ = regular_nanos_;
}

absl::Duration PollSchedule::SinceAligned() const {
  absl::Duration since = (clock_->Now() - *align_to_) % interval_;
  if (since < absl::ZeroDuration()) since += interval_;
  return since;
}

absl::Duration PollSchedule::UntilNext() const {
  return std::max(absl::Nanoseconds(next_nanos_ - clock_->NowNanos()), absl::ZeroDuration());
}

void PollSchedule::Advance() {
  const int64_t now = clock_->NowNanos();
  const int64_t interval = std::max<int64_t>(1, Nanos(interval_));
  if (align_to_.has_value() && !retries_) {
    int64_t since = Nanos(SinceAligned());
    // The wall clock may be a little behind the monotonic one, and so before the time of this call.
    if (since > interval / 2 && now - next_nanos_ < interval / 2) since -= interval;
    regular_nanos_ = now - since;
  }
  // An interval may be so long that the next time is never.
  constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;
  const int64_t left = interval - (now - regular_nanos_) % interval;
  regular_nanos_ = now < regular_nanos_ ? std::min(regular_nanos_ + interval, kNever) : now + left;
  next_nanos_ = regular_nanos_;
  retries_ = false;
}

void PollSchedule::Retry(absl::Duration timeout) {
  next_nanos_ = clock_->NowNanos() + Nanos(timeout);
  retries_ = true;
}

}  // namespace internal

}  // namespace headway
