// Records travel around a loop and change workers at every hop.

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t elements = options.number("elements");
  const uint64_t iterations = options.number("iterations");
  const auto workers = static_cast<uint64_t>(worker.count());
  const auto index = static_cast<uint64_t>(worker.index());
  uint64_t arrived = 0;
  uint64_t total = 0;
  Epoch iteration = 0;  // the latest seen, for the progress line

  InputHandle<uint64_t> input;
  HEADWAY_RETURN_IF_ERROR(worker.Build("pingpong", [&](Scope<>& scope) {
    auto [loop, around] = scope.Feedback<uint64_t>("loop", 1);
    scope.Input(input) | Merge("all", around) |
        Unary<uint64_t>(
            "hop", pact::Exchange{ModuloKey(worker.count())},
            [&](Capability<>) {
              return [&, iterations](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
                in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                  iteration = time.time();
                  if (iteration < iterations) {
                    for (uint64_t& value : batch) ++value;
                    out.SessionAt(time).GiveBatch(std::move(batch));
                  } else {
                    arrived += batch.size();
                    for (uint64_t value : batch) total += value;
                  }
                });
              };
            }) |
        ConnectLoop(loop);
  }));

  // Values begin as 0 to elements - 1 and end `iterations` higher, so each worker knows how many of
  // them end on it.
  const uint64_t first_here = (index + workers - iterations % workers) % workers;
  const uint64_t expected =
      elements <= first_here ? 0 : (elements - first_here + workers - 1) / workers;
  const Range own = Share(elements, worker.index(), worker.count());

  HEADWAY_RETURN_IF_ERROR(harness.Start(iterations));
  SendRange(input, own);
  input.Close();
  HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] {
    harness.SetDone(iteration);
    return arrived < expected;
  }));
  return Outcome{.seconds = harness.clock().Seconds(),
                 .rounds = iterations,
                 .records = iterations * own.size(),
                 .checksum = total};
}

}  // namespace

Benchmark PingpongBenchmark() {
  return {.name = "pingpong",
          .summary = "records travel around a loop, and change workers at every hop",
          .arguments = {Number("elements", 1'000, "records that travel"),
                        Number("iterations", 10'000, "times around the loop")},
          .run = Run};
}

}  // namespace headway::bench
