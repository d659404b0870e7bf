// The cost of snapshots of keyed state, and of their restoration.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "check.h"
#include "engine/state/keyed_state.h"
#include "engine/state/timers.h"

namespace headway {
namespace {

struct Totals {
  uint64_t count = 0;
  uint64_t sum = 0;
};
using State = KeyedState<uint64_t, Totals>;

void Append(std::span<const std::byte> bytes, std::string& buffer) {
  buffer.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Appends an entry, as a collector of snapshots does.
void AppendEntry(const StateEntry& entry, std::string& buffer) {
  buffer.append(reinterpret_cast<const char*>(&entry.hash), sizeof(entry.hash));
  Append(entry.key, buffer);
  Append(entry.part, buffer);
  if (entry.state.has_value()) Append(*entry.state, buffer);
}

// A snapshot of states that all changed. The buffer is recycled.
void BM_Snapshot(benchmark::State& bench) {
  const auto keys = static_cast<uint64_t>(bench.range(0));
  State state;
  state.TrackChanges();
  std::string buffer;
  for (auto _ : bench) {
    bench.PauseTiming();
    for (uint64_t key = 0; key < keys; ++key) ++state.At(key).count;
    buffer.clear();
    bench.ResumeTiming();
    state.Snapshot([&](const StateEntry& entry) { AppendEntry(entry, buffer); });
  }
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_Snapshot)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// Each timer moves between two snapshots: one entry, and one tombstone.
void BM_SnapshotOfTimers(benchmark::State& bench) {
  const int64_t keys = bench.range(0);
  Timers<int64_t, int64_t> timers(std::byte{1});
  timers.TrackChanges();
  std::string buffer;
  int64_t time = 0;
  for (auto _ : bench) {
    bench.PauseTiming();
    for (int64_t key = 0; key < keys; ++key) {
      timers.Cancel(key, time);
      timers.Set(key, time + 1);
    }
    ++time;
    buffer.clear();
    bench.ResumeTiming();
    timers.Snapshot([&](const StateEntry& entry) { AppendEntry(entry, buffer); });
  }
  bench.SetItemsProcessed(bench.iterations() * keys);
}
BENCHMARK(BM_SnapshotOfTimers)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// The restoration of an empty state.
void BM_Restore(benchmark::State& bench) {
  for (auto _ : bench) {
    State state;
    StateBase& base = state;
    benchmark::DoNotOptimize(base);
    for (uint64_t key = 0; key < static_cast<uint64_t>(bench.range(0)); ++key) {
      const Totals totals{key, key};
      const absl::Status status = base.Restore({.key = std::as_bytes(std::span(&key, 1)),
                                                .state = std::as_bytes(std::span(&totals, 1))});
      HEADWAY_CHECK(status.ok());
    }
  }
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_Restore)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

// The same table, filled by hand.
void BM_FillTable(benchmark::State& bench) {
  for (auto _ : bench) {
    FlatTable<uint64_t, Totals> table;
    for (uint64_t key = 0; key < static_cast<uint64_t>(bench.range(0)); ++key) {
      table.At(key) = {key, key};
    }
    benchmark::DoNotOptimize(table);
  }
  bench.SetItemsProcessed(bench.iterations() * bench.range(0));
}
BENCHMARK(BM_FillTable)->Arg(1'000'000)->Arg(10'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace headway
