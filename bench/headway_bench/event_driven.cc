// Many dataflows, each a chain of steps: the cost of moving time, and single records, through them.

#include <deque>

#include "absl/strings/str_format.h"
#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

struct Chain {
  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  uint64_t total = 0;
};

// An operator that forwards its batches unchanged.
auto PassOn(std::string step_id) {
  return Unary<uint64_t>(std::move(step_id), pact::Pipeline{}, [](Capability<>) {
    return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
      in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
        out.SessionAt(time).GiveBatch(std::move(batch));
      });
    };
  });
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t dataflows = options.number("dataflows");
  const uint64_t depth = options.number("depth");
  const uint64_t rounds = options.number("rounds");
  const bool record = options.flag("record");
  const bool scheduled = options.flag("scheduled");

  std::deque<Chain> chains(dataflows);
  for (Chain& chain : chains) {
    HEADWAY_RETURN_IF_ERROR(worker.Build("chain", [&](Scope<>& scope) {
      Stream<uint64_t> stream = scope.Input(chain.input);
      for (uint64_t i = 0; i < depth; ++i) {
        const std::string id = absl::StrFormat("pass_%d", i);
        stream = scheduled ? stream | PassOn(id) : stream | Map(id, [](uint64_t x) { return x; });
      }
      stream | SumInto(chain.total, pact::Pipeline{}) | Probe(chain.probe);
    }));
  }

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (Epoch round = 0; round < rounds; ++round) {
    for (Chain& chain : chains) {
      if (record) chain.input.Send(round);
      chain.input.AdvanceTo(round + 1);
    }
    for (Chain& chain : chains) {
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return chain.probe.LessThan(round + 1); }));
    }
    harness.SetDone(round);
  }

  Outcome outcome = {.seconds = harness.clock().Seconds(),
                     .rounds = rounds,
                     .records = record ? rounds * dataflows : 0};
  for (const Chain& chain : chains) outcome.checksum += chain.total;
  return outcome;
}

}  // namespace

Benchmark EventDrivenBenchmark() {
  return {.name = "event_driven",
          .summary = "time, and single records, pass through many chains of steps",
          .arguments = {Number("dataflows", 1, "number of dataflows"),
                        Number("depth", 10, "steps in each dataflow"),
                        Number("rounds", 10'000, "rounds, each complete before the next"),
                        Flag("record", "send a record into each dataflow in each round"),
                        Flag("scheduled", "steps are scheduled operators; without it, maps"),
                        Flag("flat", "no effect: no step is in a nested scope")},
          .run = Run};
}

}  // namespace headway::bench
