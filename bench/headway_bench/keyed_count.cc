// Counts numbers by key. Emits each new count at once, or when its epoch is complete.

#include <map>
#include <vector>

#include "bench/headway_bench/benchmarks.h"
#include "bench/headway_bench/steps.h"

namespace headway::bench {

namespace {

struct KeyCount {
  uint64_t key;
  uint64_t count;
};

using Counts = FlatTable<uint64_t, uint64_t>;

// Counts the keys of a batch and sends their counts.
template <class Session>
void CountBatch(const Batch<uint64_t>& batch, Counts& counts, Session& session) {
  counts.AtEach(
      batch.size(), [&](size_t i) { return batch[i]; },
      [&](size_t i, uint64_t& count) { session.Give(KeyCount{batch[i], ++count}); });
}

auto CountImmediately() {
  return Unary<KeyCount>("count", pact::Exchange{std::identity()}, [](Capability<>) {
    return [counts = Counts()](NodeInput<uint64_t>& in, NodeOutput<KeyCount>& out) mutable {
      in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
        auto session = out.SessionAt(time);
        CountBatch(batch, counts, session);
      });
    };
  });
}

auto CountAtFrontier() {
  return UnaryNotify<KeyCount>(
      "count", pact::Exchange{std::identity()}, [](Capability<>, Notificator<>&) {
        return [counts = Counts(), open = std::map<Epoch, std::vector<Batch<uint64_t>>>()](
                   NodeInput<uint64_t>& in, NodeOutput<KeyCount>& out,
                   Notificator<>& notificator) mutable {
          in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
            auto [epoch, is_new] = open.try_emplace(time.time());
            if (is_new) notificator.NotifyAt(time.Retain());
            epoch->second.push_back(std::move(batch));
          });
          while (std::optional<Capability<>> complete = notificator.Next(in.frontier())) {
            auto session = out.SessionAt(*complete);
            const auto epoch = open.extract(complete->time());
            for (const Batch<uint64_t>& batch : epoch.mapped()) {
              CountBatch(batch, counts, session);
            }
          }
        };
      });
}

auto CheckInto(uint64_t& total) {
  return Unary<Nothing>("check", pact::Pipeline{}, [&total](Capability<>) {
    return [&total](NodeInput<KeyCount>& in, NodeOutput<Nothing>&) {
      in.ForEach([&](const CapabilityRef<Epoch>&, Batch<KeyCount>& batch) {
        uint64_t part = 0;
        for (const KeyCount& change : batch) part += change.key ^ (change.count << 32);
        total += part;
      });
    };
  });
}

absl::StatusOr<Outcome> Run(Worker& worker, Harness& harness, const Options& options) {
  const uint64_t keys = options.number("keys");
  const uint64_t per_epoch = options.number("epoch");
  const uint64_t rounds = options.number("rounds");
  const bool at_frontier = options.flag("at-frontier");
  const Range own = Share(per_epoch, worker.index(), worker.count());
  uint64_t total = 0;

  InputHandle<uint64_t> input;
  ProbeHandle<> probe;
  HEADWAY_RETURN_IF_ERROR(worker.Build("keyed_count", [&](Scope<>& scope) {
    Stream<uint64_t> stream = scope.Input(input);
    Stream<KeyCount> counts =
        at_frontier ? stream | CountAtFrontier() : stream | CountImmediately();
    counts | CheckInto(total) | Probe(probe);
  }));

  HEADWAY_RETURN_IF_ERROR(harness.Start(rounds));
  for (Epoch round = 0; round < rounds; ++round) {
    const uint64_t first = round * per_epoch;
    for (uint64_t n = first + own.first; n < first + own.last; ++n) input.Send(Below(n, keys));
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

Benchmark KeyedCountBenchmark() {
  return {.name = "keyed_count",
          .summary = "counts numbers by key and emits every new count",
          .arguments = {Number("keys", 1'000'000, "distinct keys"),
                        Number("epoch", 100'000, "records per epoch, over all workers"),
                        Number("rounds", 200, "epochs, each complete before the next"),
                        Flag("at-frontier", "count and emit when the epoch is complete")},
          .run = Run};
}

}  // namespace headway::bench
