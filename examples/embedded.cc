// An engine inside a host program. The host feeds the input, steps the worker until its epoch is
// complete, and only then uses the result. Each round adds up numbers that all workers send.
// `embedded [-w WORKERS]`.
#include <array>
#include <cinttypes>
#include <cstdio>

#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

int main(int argc, char** argv) {
  constexpr Epoch kRounds = 5;
  constexpr uint64_t kNumbers = 1000;

  return Finish(ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    InputHandle<uint64_t> input;
    ProbeHandle<> probe;
    // Sums by round. When a round is complete, numbers of the next one may have arrived already.
    // All numbers are gathered on worker 0.
    std::array<uint64_t, kRounds> sums = {};
    HEADWAY_RETURN_IF_ERROR(worker.Build("sum", [&](Scope<>& scope) {
      scope.Input(input)  //
          | Map("square", [](uint64_t x) { return x * x; }) |
          Unary<uint64_t>(
              "gather", pact::Gather{},
              [&sums](Capability<>) {
                return [&sums](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
                  in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                    for (uint64_t square : batch) sums[time.time()] += square;
                  });
                };
              }) |
          Probe(probe);
    }));
    for (Epoch round = 0; round < kRounds; ++round) {
      for (uint64_t i = worker.index(); i < kNumbers; i += worker.count()) input.Send(round + i);
      input.AdvanceTo(round + 1);
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
      // This round is complete: no worker can send at it any more.
      if (worker.index() == 0) std::printf("round %" PRIu64 ": %" PRIu64 "\n", round, sums[round]);
    }
    return absl::OkStatus();
  }));
}
