#ifndef HEADWAY_OPERATORS_IO_POLL_SCHEDULE_H_
#define HEADWAY_OPERATORS_IO_POLL_SCHEDULE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"

namespace headway {

// The result of a polling function that could not be answered now: it is called again after
// `timeout`, which must not be negative. Unavailable, with the timeout in it.
absl::Status RetryAfter(absl::Duration timeout,
                        std::string_view reason = "the polling function asked to be called again");

namespace internal {

// The timeout of RetryAfter; nullopt for any other status.
std::optional<absl::Duration> RetryTimeOf(const absl::Status& status);

// The times at which a PollingSource calls its function.
class PollSchedule {
 public:
  // `clock` outlives the schedule.
  // REQUIRES: interval is positive and finite.
  PollSchedule(Clock& clock, absl::Duration interval, std::optional<absl::Time> align_to);

  // The time until the next call; zero if it is due.
  absl::Duration UntilNext() const;
  // After a call that was answered: the next one is at the next regular time.
  void Advance();
  // After a call that was not: the next one is after `timeout`.
  void Retry(absl::Duration timeout);

 private:
  // The time since the last aligned time; from 0 to the interval.
  absl::Duration SinceAligned() const;

  Clock* clock_;
  absl::Duration interval_;
  std::optional<absl::Time> align_to_;
  int64_t regular_nanos_;  // the last regular time that was due, or the first one
  int64_t next_nanos_;     // of the next call
  bool retries_ = false;   // the next call is not at a regular time
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_POLL_SCHEDULE_H_
