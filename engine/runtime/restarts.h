#ifndef HEADWAY_ENGINE_RUNTIME_RESTARTS_H_
#define HEADWAY_ENGINE_RUNTIME_RESTARTS_H_

#include <deque>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/runtime/config.h"

namespace headway::internal {

// Decides whether a run that has failed is restarted, and when. Not thread safe.
class Restarts {
 public:
  explicit Restarts(const RestartConfig& config) : config_(config) {}

  // Takes the failure of an attempt, with its mark (failure_origin.h), and the time of a clock that
  // does not jump. Returns the time to wait before the next attempt. nullopt: the run ends with the
  // failure. It is the caller's (InvalidArgument, Cancelled), it came three times in a row, there
  // were too many in the window, or the time to connect is over.
  std::optional<absl::Duration> AfterFailure(const absl::Status& failure, int64_t now_nanos);

 private:
  static constexpr int kSameInARow = 3;
  static constexpr absl::Duration kLongestBackoff = absl::Minutes(1);

  const RestartConfig config_;
  std::deque<int64_t> failures_;  // when, within the window
  std::string last_message_;
  int same_in_a_row_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_RESTARTS_H_
