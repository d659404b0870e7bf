// Parts of the data path, with workers that one thread steps. No figure contains traffic between
// cores or waiting.

#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "headway.h"

namespace headway {
namespace {

void Require(const absl::Status& status) {
  if (!status.ok()) std::abort();
}

// The workers of a run. `build` adds the steps between an input and a sum.
class Bench {
 public:
  Bench(int workers, std::function<Stream<uint64_t>(Stream<uint64_t>)> build)
      : run_(workers, RunOptions{}), attempt_(run_), inputs_(static_cast<size_t>(workers)) {
    for (int i = 0; i < workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(attempt_, i));
      Require(workers_.back()->Build("bench", [&](Scope<>& scope) {
        build(scope.Input(inputs_[static_cast<size_t>(i)])) |
            Unary<uint64_t>("sum", pact::Pipeline{}, [this](Capability<>) {
              return [this](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
                in.ForEach([&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) {
                  sum_ = std::accumulate(batch.begin(), batch.end(), sum_);
                  received_ += batch.size();
                });
              };
            });
      }));
    }
  }

  // Sends a full batch of numbers from worker 0, and steps all workers until the sum has it.
  // Returns the number of records.
  size_t SendBatch() {
    internal::Endpoint& endpoint = *inputs_[0].endpoint();
    Batch<uint64_t> batch;
    batch.AllocateRoom(endpoint);
    const size_t count = batch.room();
    std::iota(batch.begin(), batch.begin() + count, sent_);
    batch.Grow(count);
    sent_ += count;
    inputs_[0].SendBatch(std::move(batch));
    return count;
  }
  void StepUntilReceived() {
    inputs_[0].Flush();
    while (received_ < sent_) {
      for (auto& worker : workers_) Require(worker->Step());
    }
    benchmark::DoNotOptimize(sum_);
  }

 private:
  internal::RunContext run_;
  internal::Attempt attempt_;
  std::vector<InputHandle<uint64_t>> inputs_;
  std::vector<std::unique_ptr<Worker>> workers_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  uint64_t sum_ = 0;
};

void Measure(benchmark::State& state, Bench& bench) {
  constexpr int kBatches = 16;
  size_t records = 0;
  for (auto _ : state) {
    for (int i = 0; i < kBatches; ++i) records += bench.SendBatch();
    bench.StepUntilReceived();
  }
  state.SetItemsProcessed(static_cast<int64_t>(records));
}

// Records pass a number of maps.
void BM_Maps(benchmark::State& state) {
  Bench bench(1, [&](Stream<uint64_t> stream) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      stream = stream | Map("map_" + std::to_string(i), [](uint64_t x) { return 3 * x + 1; });
    }
    return stream;
  });
  Measure(state, bench);
}
BENCHMARK(BM_Maps)->Arg(0)->Arg(1)->Arg(10);

// The same arithmetic in one map.
void BM_TenMapsInOne(benchmark::State& state) {
  Bench bench(1, [](const Stream<uint64_t>& stream) {
    return stream | Map("map", [](uint64_t x) {
             for (int i = 0; i < 10; ++i) x = 3 * x + 1;
             return x;
           });
  });
  Measure(state, bench);
}
BENCHMARK(BM_TenMapsInOne);

// Records are partitioned among a number of workers.
void BM_Exchange(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)),
              [](const Stream<uint64_t>& stream) { return stream | Exchange("exchange"); });
  Measure(state, bench);
}
BENCHMARK(BM_Exchange)->Arg(1)->Arg(2)->Arg(3)->Arg(8);

// Strings, which are copied into the columns of their destination.
void BM_ExchangeStrings(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)), [](const Stream<uint64_t>& stream) {
    return stream | Map("to_string", [](uint64_t x) { return std::to_string(x); }) |
           Exchange("exchange") | Map("size", [](std::string_view s) { return s.size(); });
  });
  Measure(state, bench);
}
BENCHMARK(BM_ExchangeStrings)->Arg(1)->Arg(2)->Arg(8);

// A step of an idle worker.
void BM_IdleStep(benchmark::State& state) {
  internal::RunContext run(static_cast<int>(state.range(0)), RunOptions{});
  internal::Attempt attempt(run);
  Worker worker(attempt, 0);
  for (auto _ : state) Require(worker.Step());
}
BENCHMARK(BM_IdleStep)->Arg(1)->Arg(2)->Arg(8);

}  // namespace
}  // namespace headway
