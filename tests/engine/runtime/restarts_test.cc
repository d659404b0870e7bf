#include "engine/runtime/restarts.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "engine/runtime/failure_origin.h"

namespace headway::internal {
namespace {

// A run that fails when the test says so.
class FailingRun {
 public:
  explicit FailingRun(const RestartConfig& config) : restarts_(config) {}

  // Returns the wait before the next attempt.
  std::optional<absl::Duration> Fail(const absl::Status& failure,
                                     absl::Duration after = absl::ZeroDuration()) {
    now_ += after;
    return restarts_.AfterFailure(failure, absl::ToInt64Nanoseconds(now_));
  }
  // With a message of its own.
  std::optional<absl::Duration> Fail(absl::Duration after = absl::ZeroDuration()) {
    return Fail(absl::AbortedError("failure " + std::to_string(++failures_)), after);
  }

 private:
  Restarts restarts_;
  absl::Duration now_ = absl::Hours(1);
  int failures_ = 0;
};

TEST_CASE("the first restart is at once, and the wait before each later one is doubled") {
  FailingRun run({.max_restarts = 20, .backoff = absl::Seconds(1)});
  CHECK(run.Fail() == absl::ZeroDuration());
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60})
    CHECK(run.Fail() == absl::Seconds(seconds));
}

TEST_CASE("a run without failures for a window restarts at once again") {
  FailingRun run({.window = absl::Minutes(10), .backoff = absl::Seconds(1)});
  CHECK(run.Fail() == absl::ZeroDuration());
  CHECK(run.Fail(absl::Minutes(9)) == absl::Seconds(1));
  CHECK(run.Fail(absl::Minutes(2)) == absl::Seconds(1));
  CHECK(run.Fail(absl::Minutes(11)) == absl::ZeroDuration());
}

TEST_CASE("one failure more than max_restarts within the window ends the run") {
  FailingRun run({.max_restarts = 2, .window = absl::Minutes(10)});
  CHECK(run.Fail().has_value());
  CHECK(run.Fail(absl::Minutes(6)).has_value());
  CHECK(run.Fail(absl::Minutes(6)).has_value());  // the first one is too old to count
  CHECK_FALSE(run.Fail(absl::Minutes(3)).has_value());
}

TEST_CASE("failures that are further apart than the window are not in a row") {
  FailingRun run({.window = absl::Minutes(10)});
  const absl::Status same = absl::AbortedError("step 'parse' threw");
  for (int night = 0; night < 5; ++night) {
    CHECK(run.Fail(same, absl::Hours(24)) == absl::ZeroDuration());
  }
}

TEST_CASE("the third failure in a row with the same message ends the run") {
  FailingRun run({});
  const absl::Status same = absl::AbortedError("step 'parse' threw");
  CHECK(run.Fail(same).has_value());
  CHECK(run.Fail(same).has_value());
  CHECK(run.Fail().has_value());
  CHECK(run.Fail(same).has_value());
  CHECK(run.Fail(same).has_value());
  CHECK_FALSE(run.Fail(same).has_value());
}

TEST_CASE("the loss of a process may come again and again") {
  FailingRun run({});
  const absl::Status lost = absl::UnavailableError("process 1 was killed");
  for (int i = 0; i < 5; ++i) CHECK(run.Fail(lost).has_value());
}

TEST_CASE("failures that no restart can mend end the run") {
  for (const absl::Status& failure :
       {absl::InvalidArgumentError("wrong"), absl::CancelledError("stopped"),
        MarkUnconnected(absl::UnavailableError("process 1 is missing"))}) {
    FailingRun run({});
    CHECK_FALSE(run.Fail(failure).has_value());
  }
  // The others may not have noticed the loss yet.
  FailingRun run({});
  CHECK(run.Fail(MarkUnconnected(absl::FailedPreconditionError("two have the id"))).has_value());
}

}  // namespace
}  // namespace headway::internal
