// The tracker: the cost of an epoch that passes a chain of locations, and of a turn of a loop. Also
// the change batches that are its input.

#include <benchmark/benchmark.h>

#include <vector>

#include "progress/change_batch.h"
#include "progress/tracker.h"

namespace headway {
namespace {

void MoveAndPropagate(Tracker& tracker, ScopeTracker<Epoch>& scope, LocationId location,
                      Epoch epoch) {
  scope.Record(location, epoch, -1);
  scope.Record(location, epoch + 1, +1);
  tracker.Publish(nullptr);
  if (!tracker.Propagate().ok()) std::abort();
}

// A capability at the head of a chain moves to the next epoch. The time per location and epoch is
// the time of an iteration divided by the length.
void BM_TrackerChain(benchmark::State& state) {
  Tracker tracker;
  ScopeTracker<Epoch>& scope = tracker.AddScope<Epoch>();
  const LocationId first = scope.AddLocation();
  LocationId last = first;
  for (int64_t i = 1; i < state.range(0); ++i) {
    const LocationId next = scope.AddLocation();
    scope.AddEdge(last, next);
    last = next;
  }
  scope.AddInitial(first, 0, 1);
  scope.Watch(last);
  if (!tracker.Finish({}).ok()) std::abort();

  Epoch epoch = 0;
  for (auto _ : state) MoveAndPropagate(tracker, scope, first, epoch++);
  if (!scope.frontier(last).LessEqual(epoch) || scope.frontier(last).LessThan(epoch)) std::abort();
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TrackerChain)->Arg(2)->Arg(10)->Arg(100)->Arg(1000);

// A capability moves in a loop of locations, one of which adds 1. It moves when its own turn has
// come round, as in `barrier` on one worker.
void BM_TrackerLoop(benchmark::State& state) {
  Tracker tracker;
  ScopeTracker<Epoch>& scope = tracker.AddScope<Epoch>();
  const LocationId output = scope.AddLocation();
  LocationId last = output;
  for (int64_t i = 1; i < state.range(0); ++i) {
    const LocationId next = scope.AddLocation();
    scope.AddEdge(last, next, i == 1 ? 1 : 0);
    last = next;
  }
  scope.AddEdge(last, output);
  scope.AddInitial(output, 0, 1);
  scope.Watch(last);
  if (!tracker.Finish({}).ok()) std::abort();

  Epoch epoch = 0;
  for (auto _ : state) MoveAndPropagate(tracker, scope, output, epoch++);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TrackerLoop)->Arg(4)->Arg(10)->Arg(100);

// Many capabilities at the head of a chain, at different epochs, as held by sources that run ahead.
void BM_TrackerManyEpochs(benchmark::State& state) {
  Tracker tracker;
  ScopeTracker<Epoch>& scope = tracker.AddScope<Epoch>();
  const LocationId first = scope.AddLocation();
  const LocationId last = scope.AddLocation();
  scope.AddEdge(first, last);
  scope.AddInitial(first, 0, 1);
  scope.Watch(last);
  if (!tracker.Finish({}).ok()) std::abort();
  const auto open = static_cast<Epoch>(state.range(0));
  for (Epoch epoch = 1; epoch < open; ++epoch) scope.Record(first, epoch, +1);

  Epoch epoch = 0;
  for (auto _ : state) {
    scope.Record(first, epoch, -1);
    scope.Record(first, epoch + open, +1);
    ++epoch;
    tracker.Publish(nullptr);
    if (!tracker.Propagate().ok()) std::abort();
  }
}
BENCHMARK(BM_TrackerManyEpochs)->Arg(1)->Arg(16)->Arg(256);

// Encodes a round of changes for the peers and applies it at one of them.
void BM_TrackerPublishAndApply(benchmark::State& state) {
  Tracker trackers[2];
  ScopeTracker<Epoch>* scopes[2];
  const int64_t locations = state.range(0);
  for (int worker = 0; worker < 2; ++worker) {
    scopes[worker] = &trackers[worker].AddScope<Epoch>();
    for (int64_t i = 0; i < locations; ++i) {
      scopes[worker]->AddInitial(scopes[worker]->AddLocation(), 0, 1);
    }
    if (!trackers[worker].Finish({}).ok()) std::abort();
  }

  Epoch epoch = 0;
  std::vector<std::byte> encoded;
  for (auto _ : state) {
    for (LocationId location = 0; location < locations; ++location) {
      scopes[0]->Record(location, epoch, -1);
      scopes[0]->Record(location, epoch + 1, +1);
    }
    ++epoch;
    encoded.clear();
    trackers[0].Publish(&encoded);
    if (!trackers[1].Apply(encoded).ok()) std::abort();
    for (Tracker& tracker : trackers) {
      if (!tracker.Propagate().ok()) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * locations);
}
BENCHMARK(BM_TrackerPublishAndApply)->Arg(1)->Arg(10)->Arg(100);

// Changes of `distinct` times, some of which cancel.
void BM_ChangeBatch(benchmark::State& state) {
  const auto distinct = static_cast<Epoch>(state.range(0));
  ChangeBatch<Epoch> batch;
  Epoch epoch = 0;
  for (auto _ : state) {
    for (Epoch i = 0; i < distinct; ++i) {
      batch.Update(epoch + i, -1);
      batch.Update(epoch + i + 1, +1);
    }
    ++epoch;
    benchmark::DoNotOptimize(batch.Net().data());
    batch.Clear();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * 2);
}
BENCHMARK(BM_ChangeBatch)->Arg(1)->Arg(2)->Arg(16)->Arg(256);

}  // namespace
}  // namespace headway
