// Records change workers. Each round waits for the completion of the one before.

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t per_round = options.number("records");
  const uint64_t rounds = options.number("rounds");
  const Range own = Share(per_round, worker.index(), worker.count());
  uint64_t total = 0;

  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("exchange", [&](Scope<>& scope) {
    scope.Input(input) | SumInto(total, pact::Exchange{std::identity()}) | Probe(probe);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (Epoch round = 0; round < rounds; ++round) {
    SendRange(input, {round * per_round + own.first, round * per_round + own.last});
    input.AdvanceTo(round + 1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(round + 1); }));
    harness.SetDone(round);
  }
  return Outcome{.seconds = harness.clock().Seconds(),
                 .rounds = rounds,
                 .records = rounds * own.size(),
                 .checksum = total};
}

}  // namespace

Benchmark ExchangeBenchmark() {
  return {.name = "exchange",
          .summary = "numbers are spread over the workers and added up",
          .arguments = {Number("records", 100'000, "records per round, over all workers"),
                        Number("rounds", 1'000, "rounds, each complete before the next")},
          .run = Run};
}

}  // namespace headway::bench
