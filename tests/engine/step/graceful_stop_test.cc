// A graceful stop loses nothing: all records that sources have emitted are written, also those that
// are under way at later times.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {

constexpr int kMaxDelay = 5;

// Emits distinct numbers on each worker, a few at a time, without end. Asks for the stop when all
// workers have emitted `stop_at` numbers.
struct Numbers {
  using Record = int64_t;

  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      for (int i = 0; i < 3 && out.WantsMore(); ++i) {
        out.Emit(next);
        next += step;
        if (++*emitted == stop_at) stop.RequestStop();
      }
      return ++polls % 4 == 0 ? SourceState::Idle(absl::Microseconds(50)) : SourceState::More();
    }
    std::string Snapshot() const { return ""; }

    int64_t next;
    int64_t step;
    std::atomic<int64_t>* emitted;
    int64_t stop_at;
    StopHandle stop;
    int polls = 0;
  };
  absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
    return Reader{first + context.worker_index, context.worker_count, emitted, stop_at, stop};
  }

  int64_t first;
  std::atomic<int64_t>* emitted;
  int64_t stop_at;
  StopHandle stop;
};

// A sink that hands its records over after a few calls of Flush.
struct SlowSink {
  struct Writer {
    absl::Status Write(int64_t record) {
      unflushed.push_back(record);
      return absl::OkStatus();
    }
    absl::StatusOr<FlushState> Flush() {
      if (++calls % (pending + 1) != 0) return FlushState::Pending(absl::Microseconds(20));
      for (int64_t record : unflushed) written->Add(record);
      unflushed.clear();
      return FlushState::Done();
    }
    Collected<int64_t>* written;
    int pending;
    std::vector<int64_t> unflushed = {};
    int calls = 0;
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer{written, pending}; }

  Collected<int64_t>* written;
  int pending;  // calls of Flush that are not done
};

// Keeps each record until its epoch and the `by` epochs after it are complete.
auto DelayBy(std::string id, Epoch by) {
  return UnaryNotify<int64_t>(
      std::move(id), pact::Exchange{[](int64_t x) { return x; }},
      [by](Capability<>, Notificator<>&) {
        return [by, kept = std::map<Epoch, std::vector<int64_t>>()](
                   NodeInput<int64_t>& in, NodeOutput<int64_t>& out, Notificator<>& times) mutable {
          in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
            times.NotifyAt(time.Delayed(time.time() + by));
            for (int64_t x : batch) kept[time.time() + by].push_back(x);
          });
          while (auto time = times.Next(in.frontier())) {
            auto session = out.SessionAt(*time);
            for (int64_t x : kept[time->time()]) session.Give(x);
            kept.erase(time->time());
          }
        };
      });
}

// Sends each record at an epoch far after the epochs of the sources.
auto EventTime(std::string id) {
  return UnaryFrontier<int64_t>(std::move(id), pact::Pipeline{}, [](Capability<> first) {
    return [held = std::move(first)](NodeInput<int64_t>& in, NodeOutput<int64_t>& out) mutable {
      in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
        for (int64_t x : batch) {
          out.SessionAt(time.Delayed(time.time() + 1000 + static_cast<Epoch>(x % 100))).Give(x);
        }
      });
      held.Follow(in.frontier());
      if (in.frontier().empty()) held.Drop();
    };
  });
}

// Sends each record round a cycle `turns` times; each turn is an epoch.
Stream<int64_t> Turn(Scope<>& scope, const Stream<int64_t>& stream, const std::string& id,
                     int turns) {
  auto numbers =
      stream | Map(absl::StrCat(id, "_begin"), [](int64_t x) { return std::pair(x, 0); });
  auto [loop, again] = scope.Feedback<std::pair<int64_t, int>>(id, 1);
  auto all = numbers | Merge(absl::StrCat(id, "_all"), again);
  all | Filter(absl::StrCat(id, "_go_on"), [turns](const auto& x) { return x.second < turns; }) |
      Map(absl::StrCat(id, "_next"),
          [](const auto& x) { return std::pair(x.first, x.second + 1); }) |
      Exchange(absl::StrCat(id, "_spread"), [](const auto& x) { return x.first + x.second; }) |
      ConnectLoop(loop);
  return all |
         Filter(absl::StrCat(id, "_done"), [turns](const auto& x) { return x.second >= turns; }) |
         Map(absl::StrCat(id, "_end"), [](const auto& x) { return x.first; });
}

// A random dataflow that passes every record of its sources on once, equal on each worker.
void BuildRandom(Scope<>& scope, std::mt19937_64 random, std::atomic<int64_t>* emitted,
                 int64_t stop_at, const StopHandle& stop, Collected<int64_t>* written) {
  auto below = [&random](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  const int sources = 1 + below(2);
  std::vector<Stream<int64_t>> streams;
  for (int i = 0; i < sources; ++i) {
    streams.push_back(
        scope.Input(absl::StrCat("numbers", i),
                    Numbers{int64_t{1000} * 1000 * 1000 * i, emitted, stop_at, stop}));
  }
  for (int i = 0, steps = 1 + below(5); i < steps; ++i) {
    Stream<int64_t>& stream = streams[static_cast<size_t>(below(static_cast<int>(streams.size())))];
    const std::string id = absl::StrCat("step", i);
    switch (below(7)) {
      case 0:
        stream = stream | DelayBy(id, static_cast<Epoch>(below(kMaxDelay)));
        break;
      case 1:
        stream = Turn(scope, stream, id, 1 + below(4));
        break;
      case 2:
        stream = stream | Exchange(id, [](int64_t x) { return x; });
        break;
      case 3: {  // divided in two streams, of which one is written here
        const int64_t by = 2 + below(3);
        stream | Filter(absl::StrCat(id, "_some"), [by](int64_t x) { return x % by == 0; }) |
            Output(absl::StrCat(id, "_out"), SlowSink{written, below(4)});
        stream =
            stream | Filter(absl::StrCat(id, "_others"), [by](int64_t x) { return x % by != 0; });
        break;
      }
      case 4:
        stream = stream | EventTime(id);
        break;
      case 5:
        stream = scope.Iterate(id, [&](Scope<Product<Epoch, uint64_t>>& inner) {
          auto [loop, again] = inner.Feedback<int64_t>("again", {.outer = 0, .inner = 1});
          auto all = stream | Enter(inner) | Merge("all", again);
          all | Filter("even", [](int64_t x) { return x % 2 == 0 && x > 0; }) |
              Map("negate", [](int64_t x) { return -x; }) | ConnectLoop(loop);
          return all | Filter("out", [](int64_t x) { return x % 2 != 0 || x <= 0; }) |
                 Map("positive", [](int64_t x) { return x < 0 ? -x : x; }) | Leave(scope);
        });
        break;
      case 6: {  // state that is emitted at the end of the input, which never comes
        stream | KeyOn(absl::StrCat(id, "_key"), [](int64_t x) { return x % 7; }) |
            Map(absl::StrCat(id, "_of"), [](const auto& pair) { return pair.first; }) |
            CountFinal(absl::StrCat(id, "_count")) |
            Map(absl::StrCat(id, "_wrong"), [](const auto&) { return int64_t{-1}; }) |
            Output(absl::StrCat(id, "_out"), SlowSink{written, 0});
        break;
      }
    }
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    streams[i] | Output(absl::StrCat("out", i), SlowSink{written, below(4)});
  }
}

TEST_CASE("records emitted are records written, wherever a stop finds a random dataflow") {
  const uint64_t seed = internal::TestSeed("graceful stop");
  std::mt19937_64 random(seed);
  for (int round = 0; round < Repeated(60, 12); ++round) {
    const Shape shape = random() % 4 == 0 ? Shape{2, 1 + static_cast<int>(random() % 2)}
                                          : Shape{1, 1 + static_cast<int>(random() % 4)};
    const uint64_t graph_seed = random();
    CAPTURE(seed);
    CAPTURE(round);
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    std::atomic<int64_t> emitted{0};
    Collected<int64_t> written;
    RunOptions options;
    const int64_t stop_at = 1 + static_cast<int64_t>(random() % 2'000);
    if (random() % 2 == 0) {
      options.epoch_config = TestingEpochConfig{};
    } else {
      options.epoch_config =
          PeriodicEpochConfig{absl::Microseconds(20 + static_cast<int64_t>(random() % 2'000))};
    }
    options.max_epochs_in_flight = kMaxDelay + 3;
    options.apply_in_epoch_order = random() % 3 == 0;
    const StopHandle stop = options.stop;
    Dataflow flow("flow", [&](Scope<>& scope) {
      BuildRandom(scope, std::mt19937_64(graph_seed), &emitted, stop_at, stop, &written);
    });
    CheckOk(RunInShape(flow, shape, options));
    std::vector<int64_t> records = written.Sorted();
    CHECK(static_cast<int64_t>(records.size()) == emitted);
    CHECK(std::adjacent_find(records.begin(), records.end()) == records.end());
  }
}

}  // namespace
}  // namespace headway
