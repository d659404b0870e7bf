#ifndef HEADWAY_OPERATORS_IO_POLLING_SOURCE_H_
#define HEADWAY_OPERATORS_IO_POLLING_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/codec/codec.h"
#include "engine/step/source.h"
#include "operators/io/poll_schedule.h"

namespace headway {

struct PollingSourceOptions {
  // Calls are at this time plus a multiple of the interval: the epoch of Unix for full hours in
  // UTC, for example. Nullopt: the first call is at the start of the run, and the others follow it.
  std::optional<absl::Time> align_to = std::nullopt;
};

namespace internal {

// The records that a polling function returns: of an optional, or of a range.
template <class Result>
struct PolledRecords {
  static_assert(std::ranges::input_range<Result>,
                "PollingSource: the function must return absl::StatusOr of a std::optional or of a "
                "range of records");
  using Record = std::ranges::range_value_t<Result>;

  static void Emit(Result records, SourceOutput<Record>& out) {
    for (auto&& record : records) out.Emit(Record(std::forward<decltype(record)>(record)));
  }
};
template <class D>
struct PolledRecords<std::optional<D>> {
  using Record = D;

  static void Emit(std::optional<D> record, SourceOutput<D>& out) {
    if (record.has_value()) out.Emit(*std::move(record));
  }
};

template <class StatusOr>
struct ValueOfStatusOr {
  static_assert(!std::is_same_v<StatusOr, StatusOr>,
                "PollingSource: the function must return absl::StatusOr of a std::optional or of a "
                "range of records");
};
template <class Value>
struct ValueOfStatusOr<absl::StatusOr<Value>> {
  using type = Value;
};

// The state of a polling function that has none.
struct NoPollState {};

template <class Function, class State>
auto CallPollingFunction(Function& function, State& state) {
  if constexpr (std::is_same_v<State, NoPollState>) {
    static_assert(std::is_invocable_v<Function&>,
                  "PollingSource: the function must take nothing, or its state by reference if the "
                  "source has one");
    if constexpr (std::is_invocable_v<Function&>) return function();
  } else {
    static_assert(std::is_invocable_v<Function&, State&>,
                  "PollingSource: the function must take the state by reference, and nothing else");
    if constexpr (std::is_invocable_v<Function&, State&>) return function(state);
  }
}

// The source that PollingSource returns.
template <class Function, class State>
class PollingFunctionSource {
  static constexpr bool kHasState = !std::is_same_v<State, NoPollState>;

  using Result = typename ValueOfStatusOr<decltype(CallPollingFunction(
      std::declval<Function&>(), std::declval<State&>()))>::type;
  using Records = PolledRecords<Result>;

 public:
  using Record = typename Records::Record;

  PollingFunctionSource(absl::Duration interval, State state, Function function,
                        PollingSourceOptions options)
      : interval_(interval),
        state_(std::move(state)),
        function_(std::move(function)),
        options_(options) {}

  class Reader {
   public:
    Reader(Function function, State state, PollSchedule schedule)
        : function_(std::move(function)), state_(std::move(state)), schedule_(schedule) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      if (const absl::Duration wait = schedule_.UntilNext(); wait > absl::ZeroDuration()) {
        return SourceState::Idle(wait);
      }
      absl::StatusOr<Result> result = CallPollingFunction(function_, state_);
      if (absl::IsOutOfRange(result.status())) return SourceState::Done();
      if (const std::optional<absl::Duration> retry = RetryTimeOf(result.status())) {
        schedule_.Retry(*retry);
      } else if (!result.ok()) {
        return result.status();
      } else {
        Records::Emit(*std::move(result), out);
        schedule_.Advance();
      }
      return SourceState::Idle(schedule_.UntilNext());
    }
    std::string Snapshot() const {
      if constexpr (kHasState) {
        const std::vector<std::byte> bytes = EncodeToBytes(state_);
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      } else {
        return std::string();
      }
    }

   private:
    Function function_;
    State state_;
    PollSchedule schedule_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    if (interval_ <= absl::ZeroDuration() || interval_ == absl::InfiniteDuration()) {
      return absl::InvalidArgumentError(
          "the interval of the PollingSource must be positive and finite");
    }
    return std::vector<std::string>{"poll"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string&,
                                       const std::optional<std::string>& position) {
    if constexpr (kHasState) {
      if (position.has_value() && !DecodeFromBytes(std::as_bytes(std::span(*position)), &state_)) {
        return absl::DataLossError(
            "the stored state of the polling function cannot be decoded: it was written by another "
            "version of the program, or is damaged");
      }
    }
    return Reader(std::move(function_), std::move(state_),
                  PollSchedule(*context.clock, interval_, options_.align_to));
  }

 private:
  absl::Duration interval_;
  [[no_unique_address]] State state_;
  Function function_;
  PollingSourceOptions options_;
};

}  // namespace internal

// Calls a function at regular times, on worker 0, and yields the records that it returns: for a
// service or a table that must be asked.
//
//   PollingSource(absl::Minutes(1), []() -> absl::StatusOr<std::optional<Weather>> {
//     ...
//     return std::nullopt;                     // nothing new
//     return RetryAfter(absl::Seconds(5));     // again after that time; the interval stays
//     return absl::OutOfRangeError("");        // the input ends
//   })
//
// The function returns a std::optional, or a range of records, which are emitted in one epoch. Any
// other error, and an exception, ends the run. It may block for a short time only: meanwhile no
// other step of worker 0 runs.
//
// A call that is late, because the function or another step took long, leaves out the calls that it
// missed. Times are those of the run's clock. Between two calls they are measured by the monotonic
// one, so a wall clock that is set moves one call; the next one is aligned again.
//
// A function that needs to know where it was takes a state, which has a codec:
//
//   PollingSource(absl::Seconds(1), int64_t{0},
//                 [](int64_t& last_id) -> absl::StatusOr<std::vector<Order>> { ... });
//
// The state after the records is the position: a run that resumes, with any number of workers,
// begins with it. Without one nothing is stored.
template <class Function>
auto PollingSource(absl::Duration interval, Function function, PollingSourceOptions options = {}) {
  return internal::PollingFunctionSource<Function, internal::NoPollState>(
      interval, internal::NoPollState(), std::move(function), options);
}
template <class State, class Function>
  requires(!std::is_same_v<Function, PollingSourceOptions>)
auto PollingSource(absl::Duration interval, State state, Function function,
                   PollingSourceOptions options = {}) {
  return internal::PollingFunctionSource<Function, State>(interval, std::move(state),
                                                          std::move(function), options);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_POLLING_SOURCE_H_
