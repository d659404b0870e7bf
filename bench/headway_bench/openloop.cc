// Records arrive on a schedule that does not wait for answers. A record's latency begins when the
// record is due, so that a late record does not hide the lateness of the records after it.

#include <algorithm>
#include <deque>

#include "absl/time/time.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;

// The records of one worker: every `workers`-th one, beginning with its index. `rate` is the
// records a second of all workers.
struct Schedule {
  uint64_t index;
  uint64_t workers;
  uint64_t rate;
  uint64_t count;

  uint64_t Value(uint64_t own) const { return own * workers + index; }
  // The time at which a record is due, in nanoseconds from the start.
  uint64_t Due(uint64_t own) const {
    return static_cast<uint64_t>(static_cast<Uint128>(Value(own)) * kNanosPerSecond / rate);
  }
};

// Records sent at one time.
struct Sent {
  Epoch time;
  Range records;
};

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t total_count = options.number("rate") * options.number("seconds");
  const auto index = static_cast<uint64_t>(worker.index());
  const auto workers = static_cast<uint64_t>(worker.count());
  const Schedule schedule = {
      .index = index,
      .workers = workers,
      .rate = options.number("rate"),
      .count = total_count <= index ? 0 : (total_count - index + workers - 1) / workers};
  uint64_t total = 0;

  InputHandle<uint64_t> input;  // its times are nanoseconds since the start
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("openloop", [&](Scope<>& scope) {
    scope.Input(input) | SumInto(total, pact::Exchange{ModuloKey(worker.count())}) | Probe(probe);
  }));

  Outcome outcome = {.records = schedule.count};
  std::deque<Sent> waiting;
  uint64_t next = 0;
  HEADWAY_RETURN_IF_ERROR(harness.Start(schedule.count));
  HEADWAY_RETURN_IF_ERROR(harness.SetClocksEqual());
  while (next < schedule.count || !waiting.empty()) {
    const uint64_t now = harness.clock().Nanos();
    const uint64_t first = next;
    for (; next < schedule.count && schedule.Due(next) <= now; ++next) {
      input.Send(schedule.Value(next));
    }
    if (next > first) waiting.push_back({input.time(), {first, next}});
    input.AdvanceTo(std::max(now, input.time() + 1));

    if (options.spin) {
      HEADWAY_RETURN_IF_ERROR(worker.Step());
    } else if (next < schedule.count) {
      const auto pause =
          static_cast<int64_t>(schedule.Due(next)) - static_cast<int64_t>(harness.clock().Nanos());
      HEADWAY_RETURN_IF_ERROR(worker.StepOrPark(absl::Nanoseconds(std::max<int64_t>(pause, 0))));
    } else {
      HEADWAY_RETURN_IF_ERROR(worker.StepOrPark());
    }

    if (waiting.empty() || probe.LessEqual(waiting.front().time)) continue;
    const uint64_t seen = harness.clock().Nanos();
    while (!waiting.empty() && !probe.LessEqual(waiting.front().time)) {
      const Range records = waiting.front().records;
      waiting.pop_front();
      for (uint64_t own = records.first; own < records.last; ++own) {
        outcome.latencies.Add(seen - schedule.Due(own));
      }
    }
    harness.SetDone(next);
  }
  outcome.seconds = harness.clock().Seconds();
  outcome.checksum = total;
  return outcome;
}

}  // namespace

Benchmark OpenloopBenchmark() {
  return {.name = "openloop",
          .summary = "latency of records that arrive at a given rate",
          .arguments = {Number("rate", 100'000, "records a second, over all workers"),
                        Number("seconds", 10, "length of the schedule")},
          .run = Run};
}

}  // namespace headway::bench
