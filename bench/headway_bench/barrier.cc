// A loop without records. Each iteration begins when the frontier says that all workers have passed
// the last one.

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t rounds = options.number("rounds");
  uint64_t passed = 0;

  InputHandle<Nothing> gate;  // closed when the clock starts
  HEADWAY_RETURN_IF_ERROR(worker.Build("barrier", [&](Scope<>& scope) {
    auto [loop, stream] = scope.Feedback<Nothing>("loop", 1);
    stream |
        BinaryFrontier<Nothing>("round", scope.Input(gate), pact::Pipeline{}, pact::Pipeline{},
                                [&](Capability<> first) {
                                  return [rounds, &passed, held = std::move(first)](
                                             NodeInput<Nothing>& in, NodeInput<Nothing>& gate_in,
                                             NodeOutput<Nothing>&) mutable {
                                    // The loop adds 1: the frontier is beyond this iteration once
                                    // every worker has reached it.
                                    if (!held.held() || in.frontier().LessEqual(held.time()) ||
                                        !gate_in.frontier().empty()) {
                                      return;
                                    }
                                    if (++passed == rounds) {
                                      held.Drop();
                                    } else {
                                      held.Downgrade(passed);
                                    }
                                  };
                                }) |
        ConnectLoop(loop);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  gate.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] {
    harness.SetDone(passed);
    return passed < rounds;
  }));
  return Outcome{.seconds = harness.clock().Seconds(), .rounds = rounds, .checksum = passed};
}

}  // namespace

Benchmark BarrierBenchmark() {
  return {.name = "barrier",
          .summary = "all workers wait for each other, again and again",
          .arguments = {Number("rounds", 100'000, "iterations of the loop")},
          .run = Run};
}

}  // namespace headway::bench
