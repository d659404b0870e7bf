// A chain of maps over numbers.

#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t maps = options.number("maps");
  const uint64_t per_round = options.number("records");
  const uint64_t rounds = options.number("rounds");
  const Range own = Share(per_round, worker.index(), worker.count());
  uint64_t total = 0;

  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("map_chain", [&](Scope<>& scope) {
    Stream<uint64_t> stream = scope.Input(input);
    for (uint64_t i = 0; i < maps; ++i) {
      stream = stream | Map(absl::StrFormat("map_%d", i), [](uint64_t x) { return 3 * x + 1; });
    }
    stream | SumInto(total, pact::Pipeline{}) | Probe(probe);
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

Benchmark MapChainBenchmark() {
  return {.name = "map_chain",
          .summary = "numbers pass through a chain of maps, each of which computes 3x + 1",
          .arguments = {Number("maps", 10, "maps in the chain"),
                        Number("records", 10'000, "records per round, over all workers"),
                        Number("rounds", 1'000, "rounds, each complete before the next"),
                        Flag("in-place", "no effect: Map changes plain records where they are")},
          .run = Run};
}

}  // namespace headway::bench
