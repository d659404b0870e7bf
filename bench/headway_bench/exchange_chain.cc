// A chain of exchanges: the cost of each for an epoch, without records, with a single one, or with
// records of several epochs that are under way together.

#include <algorithm>

#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t length = options.number("length");
  const uint64_t rounds = options.number("rounds");
  const uint64_t records = options.number("records");
  const uint64_t ahead = options.number("ahead");
  const Range own = Share(records, worker.index(), worker.count());
  const bool sender = options.flag("record") && worker.index() == 0;
  uint64_t total = 0;

  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("exchange_chain", [&](Scope<>& scope) {
    Stream<uint64_t> stream = scope.Input(input);
    for (uint64_t i = 0; i < length; ++i) {
      stream = stream | Exchange(absl::StrFormat("exchange_%d", i));
    }
    stream | SumInto(total, pact::Pipeline{}) | Probe(probe);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (Epoch round = 0; round < rounds; ++round) {
    if (sender) input.Send(round);
    SendRange(input, {round * records + own.first, round * records + own.last});
    input.AdvanceTo(round + 1);
    const Epoch awaited = round + 1 == rounds ? rounds : round + 1 - std::min(round + 1, ahead - 1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(awaited); }));
    harness.SetDone(round);
  }
  return Outcome{.seconds = harness.clock().Seconds(),
                 .rounds = rounds,
                 .records = rounds * ((sender ? 1 : 0) + own.size()),
                 .checksum = total};
}

}  // namespace

Benchmark ExchangeChainBenchmark() {
  return {.name = "exchange_chain",
          .summary = "time, and single records, pass through a chain of exchanges",
          .arguments = {Number("length", 100, "exchanges in the chain"),
                        Number("rounds", 10'000, "rounds"),
                        Number("ahead", 1, "rounds that are under way together"),
                        Number("records", 0, "records a round, over all workers"),
                        Flag("record", "send a record in each round")},
          .run = Run};
}

}  // namespace headway::bench
