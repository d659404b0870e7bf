// The steps of the library, and the pacts of operators.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// The numbers of all workers, each `times` times.
std::vector<int64_t> Numbers(int workers, int64_t count, int times = 1) {
  std::vector<int64_t> numbers;
  for (int worker = 0; worker < workers; ++worker) {
    for (int64_t i = 0; i < count; ++i) {
      numbers.insert(numbers.end(), static_cast<size_t>(times), worker * 1000 + i);
    }
  }
  return numbers;
}

TEST_CASE("merge of one to five streams, some of them the same") {
  for (Shape shape : kShapes) {
    const int workers = shape.total();
    CAPTURE(shape.processes);
    for (int count = 1; count <= 5; ++count) {
      for (bool exchange : {false, true}) {
        CAPTURE(workers);
        CAPTURE(count);
        Collected<int64_t> seen;
        Dataflow flow("flow", [&](Scope<>& scope) {
          auto a = scope.Input("a", NumbersOfEachWorker(100));
          auto b = scope.Input("b", NumbersOfEachWorker(100));
          auto mapped = a | Map("mapped", [](int64_t x) { return x; });
          Stream<int64_t> merged = a;
          if (count == 1) merged = a | Merge("merge", a);
          if (count == 2) merged = a | Merge("merge", b);
          if (count == 3) merged = a | Merge("merge", b, a);
          if (count == 4) merged = a | Merge("merge", b, mapped, a);
          if (count == 5) merged = b | Merge("merge", a, a, mapped, b);
          if (exchange) merged = merged | Exchange("spread");
          merged | CollectInto("collect", seen);
        });
        CheckOk(RunInShape(flow, shape));
        CHECK(seen.Sorted() == Numbers(workers, 100, std::max(count, 2)));
      }
    }
  }
}

TEST_CASE("a stream that is used several times gives each use its own records") {
  for (Shape shape : kShapes) {
    const int workers = shape.total();
    CAPTURE(shape.processes);
    CAPTURE(workers);
    Collected<std::string> seen[3];
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto texts = scope.Input("numbers", NumbersOfEachWorker(100)) |
                   Map("text", [](int64_t x) { return std::to_string(x); });
      texts | Map("longer", [](std::string_view s) { return std::string(s) + "!"; }) |
          CollectInto("collect0", seen[0]);
      texts | Exchange("spread") | CollectInto("collect1", seen[1]);
      texts | CollectInto("collect2", seen[2]);
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<std::string> expected;
    for (int64_t x : Numbers(workers, 100)) expected.push_back(std::to_string(x));
    std::sort(expected.begin(), expected.end());
    CHECK(seen[1].Sorted() == expected);
    CHECK(seen[2].Sorted() == expected);
    for (std::string& text : expected) text += "!";
    std::sort(expected.begin(), expected.end());
    CHECK(seen[0].Sorted() == expected);
  }
}

// Collects (worker, record).
template <class Pact>
auto CollectWithWorker(Pact pact, Collected<std::pair<int, int64_t>>& seen) {
  return [pact, &seen](const Stream<int64_t>& stream) {
    const int worker = stream.scope().worker_index();
    stream | Unary<int64_t>("collect", pact, [&seen, worker](Capability<>) {
      return [&seen, worker](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
        in.ForEach([&](const CapabilityRef<Epoch>&, Batch<int64_t>& batch) {
          for (int64_t x : batch) seen.Add({worker, x});
        });
      };
    });
  };
}

TEST_CASE("pacts: to this worker, to all, to the first, and by key") {
  for (Shape shape : kShapes) {
    const int workers = shape.total();
    CAPTURE(shape.processes);
    CAPTURE(workers);
    Collected<std::pair<int, int64_t>> pipeline, broadcast, gather, exchange;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", NumbersOfEachWorker(200));
      auto use = [&](std::string id, auto pact, auto& seen) {
        Scope<>::Substeps substeps(scope, id);
        numbers | CollectWithWorker(pact, seen);
      };
      use("pipeline", pact::Pipeline{}, pipeline);
      use("broadcast", pact::Broadcast{}, broadcast);
      use("gather", pact::Gather{}, gather);
      use("exchange", pact::Exchange{[](int64_t x) { return x % 7; }}, exchange);
    });
    CheckOk(RunInShape(flow, shape));
    const std::vector<int64_t> all = Numbers(workers, 200);
    std::vector<std::pair<int, int64_t>> expected;
    for (int64_t x : all) expected.push_back({static_cast<int>(x / 1000), x});
    CHECK(pipeline.Sorted() == expected);
    expected.clear();
    for (int worker = 0; worker < workers; ++worker) {
      for (int64_t x : all) expected.push_back({worker, x});
    }
    CHECK(broadcast.Sorted() == expected);
    expected.clear();
    for (int64_t x : all) expected.push_back({0, x});
    CHECK(gather.Sorted() == expected);
    expected.clear();
    for (int64_t x : all) {
      expected.push_back({RouteHash(StableHash(x % 7), workers), x});
    }
    std::sort(expected.begin(), expected.end());
    CHECK(exchange.Sorted() == expected);
  }
}

TEST_CASE("filters that keep nothing, and flat maps of nothing, end like others (timely #523)") {
  for (Shape shape : kShapes) {
    const int workers = shape.total();
    CAPTURE(shape.processes);
    CAPTURE(workers);
    Collected<int64_t> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) |
          Filter("none", [](int64_t) { return false; }) | Exchange("spread") |
          FlatMap("nothing", [](int64_t) { return std::vector<int64_t>(); }) | Exchange("again") |
          CollectInto("collect", seen);
      scope.Input("more", NumbersOfEachWorker(100)) |
          FlatMap("also_nothing", [](int64_t) { return std::vector<std::string>(); }) |
          Exchange("more_spread") | CountFinal("count");
    });
    for (bool testing : {true, false}) {
      RunOptions options;
      if (testing) options.epoch_config = TestingEpochConfig{};
      CheckOk(RunInShape(flow, shape, options));
    }
    CHECK(seen.size() == 0);
  }
}

TEST_CASE("all NaN are one group on one worker, and so are both zeros") {
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    const int64_t workers = shape.total();
    Collected<std::pair<std::string, int64_t>> counts;
    Collected<std::pair<std::string, int64_t>> states;
    auto text = [](std::pair<double, int64_t> record) {
      const std::string key = record.first == 0 ? "0" : std::isnan(record.first) ? "nan" : "other";
      return std::pair(key, record.second);
    };
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto values = scope.Input("numbers", NumbersOfEachWorker(100)) | Map("values", [](int64_t x) {
                      switch (x % 4) {
                        case 0:
                          return std::nan("");
                        case 1:
                          return -std::nan("7");
                        case 2:
                          return 0.0;
                        default:
                          return -0.0;
                      }
                    });
      values | CountFinal("count") | Map("text", text) | CollectInto("counts", counts);
      values | KeyOn("key", [](double x) { return x; }) |
          StatefulMap<int64_t>("sum",
                               [](std::optional<int64_t>& state, double) {
                                 state = state.value_or(0) + 1;
                                 return *state;
                               }) |
          Map("text2", text) | CollectInto("states", states);
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(counts.Sorted() ==
          std::vector<std::pair<std::string, int64_t>>{{"0", 50 * workers}, {"nan", 50 * workers}});
    CHECK(states.Sorted().back() == std::pair(std::string("nan"), 50 * workers));
  }
}

TEST_CASE("StatefulMap keeps a state for each key, and forgets it when told") {
  for (Shape shape : kShapes) {
    const int workers = shape.total();
    CAPTURE(shape.processes);
    for (bool in_order : {false, true}) {
      CAPTURE(workers);
      CAPTURE(in_order);
      Collected<std::pair<int64_t, int64_t>> seen;
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(60)) | KeyOn("key", [](int64_t x) {
          return x % 3;
        }) | StatefulMap<int64_t>("count", [](std::optional<int64_t>& state, int64_t) {
          const int64_t count = state.value_or(0) + 1;
          state = count;
          if (count == 5) state.reset();
          return count;
        }) | CollectInto("collect", seen);
      });
      CheckOk(RunInShape(flow, shape,
                         {.epoch_config = TestingEpochConfig{}, .apply_in_epoch_order = in_order}));
      // 1, 2, 3, 4, 5, 1, 2, ... for each key.
      std::map<int64_t, int64_t> records;
      for (int64_t x : Numbers(workers, 60)) ++records[x % 3];
      std::vector<std::pair<int64_t, int64_t>> expected;
      for (const auto& [key, count] : records) {
        for (int64_t i = 0; i < count; ++i) expected.push_back({key, i % 5 + 1});
      }
      std::sort(expected.begin(), expected.end());
      CHECK(seen.Sorted() == expected);
    }
  }
}

// A sink that notes the records it receives.
struct NotingSink {
  Collected<int64_t>* notes;
  struct Writer {
    Collected<int64_t>* notes;
    absl::Status Write(const std::pair<int64_t, int64_t>& record) {
      notes->Add(record.second);
      return absl::OkStatus();
    }
    absl::Status Flush() { return absl::OkStatus(); }
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer{notes}; }
};

// Worker 1 is epochs ahead when worker 0 sends; all records go to one worker and one key.
void RunAhead(bool in_order, Collected<int64_t>& by_state, Collected<int64_t>& by_sink) {
  std::atomic<int> ahead{0};
  int64_t key = 0;
  while (RouteHash(StableHash(key), 2) != 0) ++key;
  CheckOk(Execute({.workers = 2, .run = {.apply_in_epoch_order = in_order}},
                  [&](Worker& worker) -> absl::Status {
                    InputHandle<std::pair<int64_t, int64_t>> input;
                    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                      auto records = scope.Input(input);
                      records | StatefulMap<int64_t>(
                                    "state", [&](std::optional<int64_t>& state, int64_t epoch) {
                                      state = epoch;
                                      by_state.Add(epoch);
                                      return epoch;
                                    });
                      records |
                          Exchange("spread", [](const auto& record) { return record.first; }) |
                          Output("out", NotingSink{&by_sink});
                    }));
                    if (worker.index() == 1) {
                      for (int64_t epoch = 0; epoch < 3; ++epoch) {
                        input.Send(std::pair(key, epoch));
                        input.AdvanceTo(static_cast<Epoch>(epoch + 1));
                      }
                      HEADWAY_RETURN_IF_ERROR(worker.Step());
                      ahead = 1;
                    } else {
                      while (ahead == 0) HEADWAY_RETURN_IF_ERROR(worker.Step());
                      for (int i = 0; i < 10; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
                      for (int64_t epoch = 0; epoch < 3; ++epoch) {
                        input.Send(std::pair(key, epoch));
                        input.AdvanceTo(static_cast<Epoch>(epoch + 1));
                        HEADWAY_RETURN_IF_ERROR(worker.Step());
                      }
                    }
                    return absl::OkStatus();
                  }));
}

TEST_CASE("stateful steps and sinks apply batches in the order of epochs when they are told to") {
  Collected<int64_t> state_in_order, sink_in_order, state_as_it_comes, sink_as_it_comes;
  RunAhead(true, state_in_order, sink_in_order);
  const std::vector<int64_t> in_order{0, 0, 1, 1, 2, 2};
  CHECK(state_in_order.InOrder() == in_order);
  CHECK(sink_in_order.InOrder() == in_order);
  // The test makes later epochs come first: without the option they are applied first.
  RunAhead(false, state_as_it_comes, sink_as_it_comes);
  const std::vector<int64_t> as_it_comes{0, 1, 2, 0, 1, 2};
  CHECK(state_as_it_comes.InOrder() == as_it_comes);
  CHECK(sink_as_it_comes.InOrder() == as_it_comes);
}

}  // namespace
}  // namespace headway
