// An exception of user code ends the run with one error that names the step and the worker.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

constexpr int kWorkers = 4;
constexpr int kThrower = 1;

// Throws on one worker.
struct Bomb {
  int worker;

  template <class R = void>
  R Explode(R result = R()) const {
    if (worker == kThrower) throw std::runtime_error("boom");
    return result;
  }
};

using Numbers = Stream<int64_t>;

// A dataflow whose step 'bad' throws on worker 1.
struct Case {
  std::string name;
  std::function<void(const Numbers&, Bomb)> build;
};

template <class Pact>
auto UnaryThatThrows(Pact pact, Bomb bomb) {
  return Unary<int64_t>("bad", pact, [bomb](Capability<>) {
    return [bomb](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
      in.ForEach([&](const CapabilityRef<Epoch>&, Batch<int64_t>&) { bomb.Explode<int>(); });
    };
  });
}

std::vector<Case> Cases() {
  return {
      {"Map",
       [](const Numbers& s, Bomb b) { s | Map("bad", [b](int64_t x) { return b.Explode(x); }); }},
      {"Map to another type",
       [](const Numbers& s, Bomb b) { s | Map("bad", [b](int64_t) { return b.Explode(1.5); }); }},
      {"Map to a string",
       [](const Numbers& s, Bomb b) {
         s | Map("bad", [b](int64_t) { return b.Explode(std::string("text")); });
       }},
      {"FlatMap",
       [](const Numbers& s, Bomb b) {
         s | FlatMap("bad", [b](int64_t x) { return b.Explode(std::vector<int64_t>{x}); });
       }},
      {"the generator that FlatMap's function returns",
       [](const Numbers& s, Bomb b) {
         s | FlatMap("bad", [b](int64_t x) {
           return [](Bomb bomb, int64_t y) -> Generator<int64_t> {
             co_yield y;
             co_yield bomb.Explode(y);
           }(b, x);
         });
       }},
      {"Filter", [](const Numbers& s,
                    Bomb b) { s | Filter("bad", [b](int64_t) { return b.Explode(true); }); }},
      {"Inspect",
       [](const Numbers& s, Bomb b) { s | Inspect("bad", [b](int64_t) { b.Explode(0); }); }},
      {"KeyOn",
       [](const Numbers& s, Bomb b) { s | KeyOn("bad", [b](int64_t x) { return b.Explode(x); }); }},
      {"StatefulMap",
       [](const Numbers& s, Bomb b) {
         // Worker 1 has every key.
         s | KeyOn("key", [](int64_t x) { return x; }) |
             StatefulMap<int64_t>("bad",
                                  [b](std::optional<int64_t>&, int64_t x) { return b.Explode(x); });
       }},
      {"the key function of CountFinal",
       [](const Numbers& s, Bomb b) {
         s | CountFinal("bad", [b](int64_t x) { return b.Explode(x); });
       }},
      {"the key function of an exchange",
       [](const Numbers& s, Bomb b) {
         s | Exchange("bad", [b](int64_t x) { return b.Explode(x); });
       }},
      {"the key function of an exchange behind a node",
       [](const Numbers& s, Bomb b) {
         s | Exchange("spread") | Exchange("bad", [b](int64_t x) { return b.Explode(x); });
       }},
      {"the key function of an exchange behind transforms",
       [](const Numbers& s, Bomb b) {
         s | Map("text", [](int64_t x) {
           return std::to_string(x);
         }) | FlatMap("twice", [](std::string_view x) {
           return std::vector<std::string>(2, std::string(x));
         }) | Exchange("bad", [b](std::string_view x) { return b.Explode(x); });
       }},
      {"the logic of a unary operator",
       [](const Numbers& s, Bomb b) { s | UnaryThatThrows(pact::Pipeline{}, b); }},
      {"the logic of a unary operator, after broadcast",
       [](const Numbers& s, Bomb b) { s | UnaryThatThrows(pact::Broadcast{}, b); }},
      {"the constructor of an operator",
       [](const Numbers& s, Bomb b) {
         s | Unary<int64_t>("bad", pact::Pipeline{}, [b](Capability<>) {
           b.Explode(0);
           return [](NodeInput<int64_t>&, NodeOutput<int64_t>&) {};
         });
       }},
      {"logic that looks at the frontier, at the end of the input",
       [](const Numbers& s, Bomb b) {
         s | UnaryFrontier<int64_t>("bad", pact::Pipeline{}, [b](Capability<>) {
           return [b](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
             in.ForEach([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
             if (in.frontier().empty()) b.Explode(0);
           };
         });
       }},
  };
}

TEST_CASE("a function that throws on worker 1 of 4 ends the run with its step, worker and text") {
  for (const Case& c : Cases()) {
    CAPTURE(c.name);
    Dataflow flow("flow", [&](Scope<>& scope) {
      c.build(scope.Input("numbers", NumbersOfEachWorker(500)), Bomb{scope.worker_index()});
    });
    CheckError(RunMain(flow, {.worker_count = kWorkers}), absl::StatusCode::kAborted,
               {"step 'bad'", OnWorker(kThrower), "boom"});
  }
}

TEST_CASE("the same with an epoch for each item") {
  for (const Case& c : Cases()) {
    CAPTURE(c.name);
    Dataflow flow("flow", [&](Scope<>& scope) {
      c.build(scope.Input("numbers", NumbersOfEachWorker(50)), Bomb{scope.worker_index()});
    });
    CheckError(RunMain(flow, {.worker_count = kWorkers, .epoch_config = TestingEpochConfig{}}),
               absl::StatusCode::kAborted, {"step 'bad'", OnWorker(kThrower), "boom"});
  }
}

TEST_CASE("the same on the only worker") {
  for (const Case& c : Cases()) {
    // With one worker an exchange does not look at the key.
    if (c.name.find("the key function of an exchange") == 0) continue;
    CAPTURE(c.name);
    Dataflow flow("flow", [&](Scope<>& scope) {
      c.build(scope.Input("numbers", NumbersOfEachWorker(500)), Bomb{kThrower});
    });
    CheckError(RunMain(flow), absl::StatusCode::kAborted, {"step 'bad'", OnWorker(0), "boom"});
  }
}

TEST_CASE("a function that throws while the host sends ends the run, and not the host") {
  for (const Case& c : Cases()) {
    CAPTURE(c.name);
    absl::Status status = Execute({.workers = kWorkers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        c.build(scope.Input(input), Bomb{scope.worker_index()});
      }));
      for (Epoch epoch = 1; epoch < 5; ++epoch) {
        for (int64_t i = 0; i < 20'000; ++i) input.Send(i);
        input.AdvanceTo(epoch);
        HEADWAY_RETURN_IF_ERROR(worker.Step());
      }
      return absl::OkStatus();
    });
    CheckError(status, absl::StatusCode::kAborted, {"step 'bad'", OnWorker(kThrower), "boom"});
  }
}

TEST_CASE("a source's coroutine that throws ends the run with its step and worker") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("bad",
                ManualSource([](int index, int,
                                std::optional<int64_t>) -> Generator<std::pair<int64_t, int64_t>> {
                  for (int64_t i = 0;; ++i) {
                    if (i == 100 && index == kThrower) throw std::runtime_error("boom");
                    co_yield {i, i};
                  }
                })) |
        Exchange("spread");
  });
  CheckError(RunMain(flow, {.worker_count = kWorkers}), absl::StatusCode::kAborted,
             {"step 'bad'", OnWorker(kThrower), "boom"});
}

TEST_CASE("a builder function that throws ends the run with its dataflow and worker") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(1'000'000)) | Exchange("spread");
    Bomb{scope.worker_index()}.Explode(0);
  });
  CheckError(RunMain(flow, {.worker_count = kWorkers}), absl::StatusCode::kAborted,
             {"dataflow 'flow'", OnWorker(kThrower), "boom"});
}

TEST_CASE("a program that throws ends the run with its worker") {
  absl::Status status = Execute({.workers = kWorkers}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build(
        "flow", [&](Scope<>& scope) { scope.Input(input) | Exchange("spread") | Probe(probe); }));
    for (int64_t i = 0; i < 1000; ++i) input.Send(i);
    Bomb{worker.index()}.Explode(0);
    input.AdvanceTo(1);
    return worker.StepWhile([&] { return probe.LessThan(1); });
  });
  CheckError(status, absl::StatusCode::kAborted, {"worker 1", "boom"});
}

TEST_CASE("an error that a program returns is the run's status") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    absl::Status status = Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(
          worker.Build("flow", [&](Scope<>& scope) { scope.Input(input) | Exchange("spread"); }));
      if (worker.index() == workers - 1) return absl::NotFoundError("no such thing");
      return worker.StepWhile([] { return true; });
    });
    CheckError(status, absl::StatusCode::kNotFound, {"no such thing"});
  }
}

TEST_CASE("what is thrown need not be a std::exception") {
  Dataflow in_step("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) |
        Map("bad", [index = scope.worker_index()](int64_t x) {
          if (index == kThrower) throw 42;
          return x;
        });
  });
  CheckError(RunMain(in_step, {.worker_count = kWorkers}), absl::StatusCode::kAborted,
             {"step 'bad'", OnWorker(kThrower), "not a std::exception"});
  absl::Status in_program = Execute({.workers = kWorkers}, [&](Worker& worker) -> absl::Status {
    if (worker.index() == kThrower) throw 42;
    return worker.StepWhile([] { return true; });
  });
  CheckError(in_program, absl::StatusCode::kAborted, {"worker 1", "no std::exception"});
}

TEST_CASE("memory that is not there ends the run as such, and not as a mistake of the step") {
  Dataflow in_step("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) |
        Map("bad", [index = scope.worker_index()](int64_t x) {
          if (index == kThrower) throw std::bad_alloc();
          return x;
        });
  });
  CheckError(RunMain(in_step, {.worker_count = kWorkers}), absl::StatusCode::kResourceExhausted,
             {"step 'bad'", OnWorker(kThrower), "memory"});
  absl::Status in_program = Execute({.workers = kWorkers}, [&](Worker& worker) -> absl::Status {
    if (worker.index() == kThrower) throw std::bad_alloc();
    return worker.StepWhile([] { return true; });
  });
  CheckError(in_program, absl::StatusCode::kResourceExhausted,
             {"process 0 is out of memory", "max_bytes_in_flight"});
}

TEST_CASE("a record that is too large for any block ends the run, and names the step") {
  // Nobody reads it: it is refused by its size, of which the compiler shall not know.
  static constexpr char kStart = 'x';
  static volatile size_t size = size_t{1} << 31;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(1)) |
        Map("bad", [](int64_t) { return std::string_view(&kStart, size); }) |
        Inspect("use", [](std::string_view) {});
  });
  CheckError(RunMain(flow, {}), absl::StatusCode::kResourceExhausted,
             {"step 'bad' on worker 0", "2147483", "split it"});
}

// Throws when it is copied on worker 1.
struct Copied {
  int64_t value = 0;
  bool throws = false;

  Copied() = default;
  explicit Copied(int64_t v, bool t) : value(v), throws(t) {}
  Copied(Copied&&) = default;
  Copied& operator=(Copied&&) = default;
  Copied(const Copied& other) : value(other.value), throws(other.throws) {
    if (throws) throw std::runtime_error("boom");
  }
  Copied& operator=(const Copied&) = delete;
  ~Copied() {}
};

TEST_CASE("a record that cannot be copied for the second use of its stream ends the run") {
  auto build = [](const Stream<Copied>& copies) {
    copies | Inspect("first", [](const Copied&) {});
    copies | Inspect("second", [](const Copied&) {});
  };
  Dataflow flow("flow", [&](Scope<>& scope) {
    build(scope.Input("numbers", NumbersOfEachWorker(10)) |
          Map("make",
              [index = scope.worker_index()](int64_t x) { return Copied(x, index == kThrower); }));
  });
  CheckError(RunMain(flow, {.worker_count = kWorkers}), absl::StatusCode::kAborted,
             {OnWorker(kThrower), "boom"});
  absl::Status status = Execute({.workers = kWorkers}, [&](Worker& worker) -> absl::Status {
    InputHandle<Copied> input;
    HEADWAY_RETURN_IF_ERROR(
        worker.Build("flow", [&](Scope<>& scope) { build(scope.Input(input)); }));
    input.Send(Copied(1, worker.index() == kThrower));
    input.AdvanceTo(1);
    return worker.StepWhile([&] { return worker.index() != kThrower; });
  });
  CheckError(status, absl::StatusCode::kAborted, {OnWorker(kThrower), "boom"});
}

}  // namespace
}  // namespace headway
