#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/run_program.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/sanitizers.h"

// Runs of several processes, as threads that are connected in memory or by sockets.

namespace headway {
namespace {

void CheckAllOk(const std::vector<absl::Status>& statuses) {
  for (const absl::Status& status : statuses) CheckOk(status);
}

enum class Mesh { kMemory, kSockets };
constexpr Mesh kMeshes[] = {Mesh::kMemory, Mesh::kSockets};

auto Connect(Mesh mesh, Shape shape) {
  return mesh == Mesh::kMemory ? MemoryMesh(shape.processes)
                               : SocketMesh(shape.processes, shape.workers);
}

// Calls f(mesh, shape) for all of both.
template <class F>
void ForEachCluster(F&& f) {
  for (Mesh mesh : kMeshes) {
    CAPTURE(static_cast<int>(mesh));
    for (Shape shape : kShapes) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      f(mesh, shape);
    }
  }
}

std::vector<absl::Status> Run(const Dataflow& flow, Mesh mesh, Shape shape,
                              const RunOptions& options = {}) {
  return RunInThreads(Connect(mesh, shape), flow, shape.workers, [&](int) {
    RunOptions own = options;
    own.stop = StopHandle();
    return own;
  });
}

TEST_CASE("numbers that are exchanged between processes arrive once, at the worker of their key") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    constexpr int64_t kPerWorker = Repeated(20'000, 5'000);
    Collected<std::pair<int64_t, int>> seen;
    Dataflow flow("numbers", [&](Scope<>& scope) {
      const int worker = scope.worker_index();
      scope.Input("inp", ManualSource([](int index, int, std::optional<int64_t> resume)
                                          -> Generator<std::pair<int64_t, int64_t>> {
                    for (int64_t i = resume.value_or(0); i < kPerWorker; ++i) {
                      co_yield {i + 1, index * kPerWorker + i};
                    }
                  })) |
          Exchange("by_value", [](int64_t n) { return n; }) |
          Inspect("see", [&seen, worker](int64_t n) { seen.Add({n, worker}); });
    });
    CheckAllOk(Run(flow, mesh, shape));
    std::vector<std::pair<int64_t, int>> expected;
    for (int64_t n = 0; n < kPerWorker * shape.total(); ++n) {
      expected.push_back({n, RouteHash(StableHash(n), shape.total())});
    }
    CHECK((seen.Sorted() == expected));
  });
}

TEST_CASE("strings, and records with a codec, cross processes") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    Collected<std::string> strings;
    Collected<std::pair<std::string, std::vector<int>>> records;
    Dataflow flow("strings", [&](Scope<>& scope) {
      auto numbers = scope.Input("inp", NumbersOfEachWorker(300));
      numbers |
          Map("name", [](int64_t n) { return std::string(static_cast<size_t>(n % 97), 'x'); }) |
          Exchange("by_name", [](std::string_view s) { return s.size(); }) |
          CollectInto("strings", strings);
      numbers | Map("pair", [](int64_t n) {
        return std::pair(std::to_string(n), std::vector<int>(static_cast<size_t>(n % 5)));
      }) | Exchange("by_pair", [](const auto& pair) {
        return pair.first;
      }) | CollectInto("records", records);
    });
    CheckAllOk(Run(flow, mesh, shape));
    std::vector<std::string> expected_strings;
    std::vector<std::pair<std::string, std::vector<int>>> expected_records;
    for (int worker = 0; worker < shape.total(); ++worker) {
      for (int i = 0; i < 300; ++i) {
        const int n = worker * 1000 + i;
        expected_strings.emplace_back(static_cast<size_t>(n % 97), 'x');
        expected_records.push_back(
            {std::to_string(n), std::vector<int>(static_cast<size_t>(n % 5))});
      }
    }
    std::sort(expected_strings.begin(), expected_strings.end());
    std::sort(expected_records.begin(), expected_records.end());
    CHECK(strings.Sorted() == expected_strings);
    CHECK(records.Sorted() == expected_records);
  });
}

TEST_CASE("a run whose limit is small ends well on several processes") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    RunOptions options;
    options.max_bytes_in_flight = 1;
    constexpr int64_t kPerWorker = Repeated(500, 100);
    Collected<int64_t> seen;
    Dataflow flow("small", [&](Scope<>& scope) {
      scope.Input("inp", NumbersOfEachWorker(kPerWorker)) |
          FlatMap("many", [](int64_t n) { return std::vector<int64_t>(100, n); }) |
          Exchange("by_value", [](int64_t n) { return n; }) | CollectInto("see", seen);
    });
    CheckAllOk(Run(flow, mesh, shape, options));
    CHECK(seen.size() == static_cast<size_t>(kPerWorker * shape.total() * 100));
  });
}

TEST_CASE("a failure on one process ends all of them with the same cause") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    if (shape.processes == 1) return;
    Dataflow flow("failing", [&](Scope<>& scope) {
      const int worker = scope.worker_index();
      const int last = scope.worker_count() - 1;
      scope.Input("inp", Silent{}) | Exchange("spread", [](int64_t n) { return n; });
      scope.Input("bad", NumbersOfEachWorker(10)) | Map("parse", [worker, last](int64_t n) {
        if (worker == last && n % 1000 == 5) throw std::runtime_error("no number");
        return n;
      });
    });
    for (const absl::Status& status : Run(flow, mesh, shape)) {
      CheckError(status, absl::StatusCode::kAborted,
                 {"step 'parse'", "no number",
                  "worker " + std::to_string(shape.total() - 1) + " of process " +
                      std::to_string(shape.processes - 1)});
    }
  });
}

TEST_CASE("processes that build different dataflows are told the step") {
  std::vector<std::unique_ptr<internal::Transport>> transports = MemoryMesh(2);
  std::vector<absl::Status> statuses(2);
  std::vector<std::thread> threads;
  for (size_t process = 0; process < 2; ++process) {
    threads.emplace_back([&, process] {
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("inp", Silent{}) |
            Exchange(process == 0 ? "here" : "there", [](int64_t n) { return n; });
      });
      statuses[process] = internal::RunProcess(internal::DataflowProgram(flow), {}, 1,
                                               std::move(transports[process]));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) {
    CheckError(status, absl::StatusCode::kInvalidArgument, {"'here'", "'there'", "process"});
  }
}

TEST_CASE("a stop that is asked of one process ends all of them, and loses nothing") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    std::vector<StopHandle> stops(static_cast<size_t>(shape.processes));
    Collected<int64_t> seen;
    Dataflow flow("endless", [&](Scope<>& scope) {
      scope.Input(
          "inp", ManualSource([](int, int,
                                 std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
            for (int64_t i = 0;; ++i) co_yield {i, i};
          })) |
          Exchange("spread", [](int64_t n) { return n; }) | Inspect("stop", [&](int64_t n) {
            if (n == 1000) stops.back().RequestStop();
            seen.Add(n);
          });
    });
    CheckAllOk(RunInThreads(Connect(mesh, shape), flow, shape.workers, [&](int process) {
      RunOptions options{.epoch_config = TestingEpochConfig{}};
      options.stop = stops[static_cast<size_t>(process)];
      return options;
    }));
    CHECK(seen.size() > 1000);
    for (const StopHandle& stop : stops) CHECK(stop.requested());
  });
}

// Each record of a batch owns far more memory than lies in the batch.
TEST_CASE("a batch of records that together are larger than a frame may be is divided") {
  constexpr int64_t kRecords = 24;
  constexpr size_t kRecordBytes = 100'000;
  for (Mesh mesh : kMeshes) {
    CAPTURE(static_cast<int>(mesh));
    Collected<std::pair<int64_t, size_t>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(kRecords)) |
          Map("fill",
              [](int64_t n) { return std::vector<int64_t>(kRecordBytes / sizeof(int64_t), n); }) |
          Exchange("spread", [](const std::vector<int64_t>& record) { return record[0]; }) |
          Inspect("see", [&](const std::vector<int64_t>& record) {
            CHECK(record.front() == record.back());
            seen.Add({record[0], record.size()});
          });
    });
    CheckAllOk(Run(flow, mesh, {2, 2}, {.cluster = {.max_frame_bytes = size_t{256} << 10}}));
    CHECK(seen.size() == 4 * kRecords);
    for (const auto& [n, size] : seen.InOrder()) CHECK(size == kRecordBytes / sizeof(int64_t));
  }
}

// Throws on its way to another process: on this side, or on that one.
struct Thrower {
  int64_t value = 0;
};

}  // namespace

template <>
struct Codec<Thrower> {
  static void Encode(const Thrower& thrower, Encoder& encoder) {
    if (thrower.value == 1) throw std::runtime_error("not written");
    Codec<int64_t>::Encode(thrower.value, encoder);
  }
  static bool Decode(Decoder& decoder, Thrower* thrower) {
    if (!Codec<int64_t>::Decode(decoder, &thrower->value)) return false;
    if (thrower->value == 2) throw std::runtime_error("not read");
    return true;
  }
};

namespace {

TEST_CASE("a codec that throws ends the run with the step whose records it writes and reads") {
  struct Case {
    int64_t value;
    std::string what;
  };
  for (const Case& each : {Case{1, "not written"}, Case{2, "not read"}}) {
    CAPTURE(each.what);
    for (Mesh mesh : kMeshes) {
      auto build = [&](Scope<>& scope, auto pact) {
        scope.Input("numbers", NumbersOfEachWorker(1)) |
            Map("make", [&](int64_t) { return Thrower{each.value}; }) |
            Unary<int64_t>("use", pact, [](Capability<>) {
              return [](NodeInput<Thrower>& in, NodeOutput<int64_t>&) {
                in.ForEach([](const CapabilityRef<Epoch>&, Batch<Thrower>&) {});
              };
            });
      };
      auto check = [&](auto pact) {
        Dataflow flow("flow", [&](Scope<>& scope) { build(scope, pact); });
        for (const absl::Status& status : Run(flow, mesh, {2, 1})) {
          CheckError(status, absl::StatusCode::kAborted, {"step 'use' on worker ", each.what});
        }
      };
      check(pact::Gather{});
      check(pact::Broadcast{});
      check(pact::Exchange{[](const Thrower&) { return 0; }});
    }
  }
}

TEST_CASE("another thread activates an operator in any process of a cluster") {
  ForEachCluster([](Mesh mesh, Shape shape) {
    std::vector<std::unique_ptr<internal::Transport>> transports = Connect(mesh, shape);
    std::atomic<int> activated{0};
    std::vector<absl::Status> statuses(transports.size());
    std::vector<std::thread> processes;
    auto program = [&](Worker& worker) -> absl::Status {
      std::thread other;
      absl::Status status = worker.Build("flow", [&](Scope<>& scope) {
        OperatorBuilder<Epoch> builder(scope, "op");
        builder.AddOutput<int64_t>();
        Activator activator = builder.activator();
        builder.Build([&](std::vector<Capability<>> first) {
          return [&, activator, held = std::move(first[0])]() mutable {
            if (!other.joinable()) {  // the first run, which every operator gets
              other = std::thread([by = activator.thread_activator()] { by.Activate(); });
            } else if (held.held()) {
              ++activated;
              held.Drop();
            }
          };
        });
      });
      if (status.ok()) status = worker.StepWhile([&] { return worker.HasDataflows(); });
      if (other.joinable()) other.join();
      return status;
    };
    for (size_t process = 0; process < transports.size(); ++process) {
      processes.emplace_back([&, process] {
        statuses[process] = internal::RunProcess(internal::HostProgram(program), {}, shape.workers,
                                                 std::move(transports[process]));
      });
    }
    for (std::thread& process : processes) process.join();
    CheckAllOk(statuses);
    CHECK(activated == shape.total());
  });
}

}  // namespace
}  // namespace headway
