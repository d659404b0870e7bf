// Exchanges of batches whose times alternate.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/worker_pair.h"

namespace headway {
namespace {

TEST_CASE("an exchange joins the records of each time, and sends those of earlier times first") {
  constexpr uint64_t kRecords = 6'000;  // of each time: several blocks
  constexpr Epoch kTimes = 3;
  uint64_t batches = 0;
  std::vector<std::pair<Epoch, uint64_t>> taken[2];  // by worker
  WorkerPair pair({});
  InputHandle<uint64_t> inputs[2];
  for (Worker* worker : {&pair.first, &pair.second}) {
    auto& of_worker = taken[worker->index()];
    CheckOk(worker->Build("flow", [&](Scope<>& scope) {
      scope.Input(inputs[worker->index()]) |
          Unary<uint64_t>("alternate", pact::Pipeline{},
                          [](Capability<>) {
                            return [](NodeInput<uint64_t>& in, NodeOutput<uint64_t>& out) {
                              in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>&) {
                                std::vector<Capability<>> at;
                                for (Epoch t = 0; t < kTimes; ++t) at.push_back(time.Delayed(t));
                                for (uint64_t i = 0; i < kRecords; ++i) {
                                  // Not in the order of times.
                                  for (Epoch t : {1, 0, 2}) out.SessionAt(at[t]).Give(i);
                                }
                              });
                            };
                          }) |
          Unary<uint64_t>("take", pact::Exchange{[](uint64_t x) { return x; }}, [&](Capability<>) {
            return [&](NodeInput<uint64_t>& in, NodeOutput<uint64_t>&) {
              in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<uint64_t>& batch) {
                ++batches;
                for (uint64_t x : batch) of_worker.push_back({time.time(), x});
              });
            };
          });
    }));
  }
  inputs[0].Send(0);
  for (InputHandle<uint64_t>& input : inputs) input.Close();
  for (int i = 0; i < 100; ++i) {
    CheckOk(pair.first.Step());
    CheckOk(pair.second.Step());
  }
  size_t count = 0;
  for (const auto& of_worker : taken) {
    count += of_worker.size();
    std::map<Epoch, uint64_t> last;
    for (const auto& [time, x] : of_worker) {
      CHECK((!last.contains(time) || last[time] < x));
      // A producer and key: whoever sent x at an earlier time did so before.
      if (time > 0) CHECK(last[time - 1] >= x);
      last[time] = x;
    }
  }
  CHECK(count == kTimes * kRecords);
  // Sent at each change of the time, there would be one batch for each record.
  CHECK(batches < 4 * kTimes * kRecords * sizeof(uint64_t) / internal::kBlockPayloadBytes + 20);
}

}  // namespace
}  // namespace headway
