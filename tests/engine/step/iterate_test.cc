// Cycles, nested scopes, capabilities and notifications.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Round = Product<Epoch, uint64_t>;
using InnerRound = Product<Round, uint64_t>;

// A record that goes round in a cycle.
struct Walk {
  int64_t left;   // turns to go
  int64_t turns;  // turns that were made
};

template <class T>
auto Turn(std::string id) {
  return [id](const Stream<Walk, T>& stream) {
    return stream | Filter(id + "_going", [](const Walk& w) { return w.left > 0; }) |
           Map(id + "_turn", [](Walk w) { return Walk{w.left - 1, w.turns + 1}; });
  };
}
template <class T>
auto Arrived(std::string id) {
  return [id](const Stream<Walk, T>& stream) {
    return stream | Filter(id + "_arrived", [](const Walk& w) { return w.left == 0; }) |
           Map(id + "_turns", [](const Walk& w) { return w.turns; });
  };
}

Stream<Walk> Walks(Scope<>& scope, int64_t count) {
  return scope.Input("numbers", NumbersOfEachWorker(count)) |
         Map("walks", [](int64_t x) { return Walk{x % 1000, 0}; });
}

void CheckWalks(const Collected<int64_t>& turns, int workers, int64_t count) {
  std::vector<int64_t> expected;
  for (int64_t i = 0; i < count; ++i)
    expected.insert(expected.end(), static_cast<size_t>(workers), i);
  CHECK(turns.Sorted() == expected);
}

TEST_CASE("a cycle in the root scope, with and without an exchange in it") {
  for (int workers : kWorkerCounts) {
    for (bool exchange : {true, false}) {
      for (bool testing : {true, false}) {
        CAPTURE(workers);
        CAPTURE(exchange);
        Collected<int64_t> turns;
        Dataflow flow("flow", [&](Scope<>& scope) {
          auto [loop, again] = scope.Feedback<Walk>("loop", 1);
          auto all = Walks(scope, 50) | Merge("merge", again);
          if (exchange) all = all | Exchange("spread", [](const Walk& w) { return w.turns; });
          all | Turn<Epoch>("walk") | ConnectLoop(loop);
          all | Arrived<Epoch>("walk") | CollectInto("collect", turns);
        });
        RunOptions options{.worker_count = workers};
        if (testing) options.epoch_config = TestingEpochConfig{};
        CheckOk(RunMain(flow, options));
        CheckWalks(turns, workers, 50);
      }
    }
  }
}

TEST_CASE("a cycle in a nested scope keeps the epoch and counts the rounds") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> turns;
    Collected<std::pair<Epoch, int64_t>> left;
    std::atomic<int> wrong_round{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto walks = Walks(scope, 50);
      auto done = scope.Iterate("iterate", [&](Scope<Round>& inner) {
        auto [loop, again] = inner.Feedback<Walk>("loop", {0, 1});
        auto all =
            walks | Enter(inner) | Merge("merge", again) |
            Unary<Walk>("check", pact::Exchange{[](const Walk& w) { return w.left; }},
                        [&](Capability<Round>) {
                          return [&](NodeInput<Walk, Round>& in, NodeOutput<Walk, Round>& out) {
                            in.ForEach([&](const CapabilityRef<Round>& time, Batch<Walk>& batch) {
                              for (const Walk& w : batch) {
                                if (static_cast<int64_t>(time.time().inner) != w.turns) {
                                  ++wrong_round;
                                }
                              }
                              out.SessionAt(time).GiveBatch(std::move(batch));
                            });
                          };
                        });
        all | Turn<Round>("walk") | ConnectLoop(loop);
        return all | Arrived<Round>("walk") | Leave(scope);
      });
      done | CollectInto("collect", turns);
      done | CollectWithTime<int64_t, Epoch>("times", left);
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    CheckWalks(turns, workers, 50);
    CHECK(wrong_round == 0);
    for (const auto& [epoch, item] : left.InOrder()) CHECK(static_cast<int64_t>(epoch) == item);
  }
}

TEST_CASE("a cycle in a scope that is nested in a cycle of a nested scope") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> turns;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto walks = Walks(scope, 20);
      scope.Iterate("outer", [&](Scope<Round>& outer) {
        auto [loop, again] = outer.Feedback<Walk>("loop", {0, 1});
        auto all = walks | Enter(outer) | Merge("merge", again);
        // Each round of the outer cycle makes up to three turns in the inner one.
        auto back = outer.Iterate("inner", [&](Scope<InnerRound>& inner) {
          auto [inner_loop, inner_again] = inner.Feedback<Walk>("loop", {{0, 0}, 1});
          auto inner_all = all | Enter(inner) | Merge("merge", inner_again) |
                           Exchange("spread", [](const Walk& w) { return w.left; });
          inner_all | Filter("within", [](const Walk& w) { return w.turns % 3 != 2; }) |
              Turn<InnerRound>("in") | ConnectLoop(inner_loop);
          return inner_all |
                 Filter("leaving", [](const Walk& w) { return w.left == 0 || w.turns % 3 == 2; }) |
                 Leave(outer);
        });
        back | Turn<Round>("out") | ConnectLoop(loop);
        return back | Arrived<Round>("walk") | Leave(scope);
      }) | CollectInto("collect", turns);
    });
    for (bool testing : {true, false}) {
      RunOptions options{.worker_count = workers};
      if (testing) options.epoch_config = TestingEpochConfig{};
      CheckOk(RunMain(flow, options));
    }
    CheckWalks(turns, 2 * workers, 20);
  }
}

TEST_CASE("a scope with nothing in it passes records and the end on (timely #377, #378)") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Collected<int64_t> seen;
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto stream = scope.Input(input);
        scope.Iterate("empty",
                      [&](Scope<Round>& inner) {
                        auto entered = stream | Enter(inner);
                        return inner.Iterate("empty", [&](Scope<InnerRound>& innermost) {
                          return entered | Enter(innermost) | Leave(inner);
                        }) | Leave(scope);
                      }) |
            CollectInto("collect", seen) | Probe(probe);
        // Scopes without any stream.
        scope.Iterate("bare", [](Scope<Round>&) {});
      }));
      for (Epoch epoch = 1; epoch <= 3; ++epoch) {
        input.Send(static_cast<int64_t>(epoch));
        input.AdvanceTo(epoch);
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(epoch); }));
      }
      return absl::OkStatus();
    }));
    CHECK(seen.size() == static_cast<size_t>(3 * workers));
  }
}

TEST_CASE("a step in a nested scope never sees an empty first frontier (timely #360)") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int> empty_at_first{0}, first_runs{0};
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto stream = scope.Input(input);
        scope.Iterate("nested", [&](Scope<Round>& inner) {
          return stream | Enter(inner) |
                 UnaryFrontier<int64_t>(
                     "step", pact::Exchange{std::identity()},
                     [&](Capability<Round>) {
                       return [&, first = true](NodeInput<int64_t, Round>& in,
                                                NodeOutput<int64_t, Round>&) mutable {
                         in.ForEach([](const CapabilityRef<Round>&, Batch<int64_t>&) {});
                         if (!std::exchange(first, false)) return;
                         ++first_runs;
                         if (in.frontier().empty() || !in.frontier().LessEqual({0, 0}))
                           ++empty_at_first;
                       };
                     }) |
                 Leave(scope);
        }) | Probe(probe);
      }));
      for (int i = 0; i < 10; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      CHECK(probe.LessEqual(0));
      input.AdvanceTo(1);
      return worker.StepWhile([&] { return probe.LessThan(1); });
    }));
    CHECK(first_runs == workers);
    CHECK(empty_at_first == 0);
  }
}

TEST_CASE("a notificator tells each time once, in order, when it is complete on all workers") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::vector<Collected<Epoch>> told(static_cast<size_t>(workers));
    std::array<std::atomic<int>, 30> sent{};
    std::atomic<int> early{0};
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) |
            UnaryNotify<int64_t>(
                "step", pact::Broadcast{}, [&](Capability<> first, Notificator<>& notificator) {
                  notificator.NotifyAt(std::move(first));
                  return [&, index = static_cast<size_t>(worker.index())](
                             NodeInput<int64_t>& in, NodeOutput<int64_t>&, Notificator<>& waiting) {
                    in.ForEach([&](const CapabilityRef<Epoch>& time, Batch<int64_t>&) {
                      // Often, for this time and for one that nobody sends at, the later one first.
                      waiting.NotifyAt(time.Delayed(time.time() + 1));
                      waiting.NotifyAt(time.Retain());
                      waiting.NotifyAt(time.Retain());
                    });
                    while (auto complete = waiting.Next(in.frontier())) {
                      const Epoch epoch = complete->time();
                      told[index].Add(epoch);
                      if (epoch < 30 && epoch % 2 == 0 && sent[epoch] != workers) ++early;
                    }
                  };
                });
      }));
      for (Epoch epoch = 0; epoch < 30; epoch += 2) {
        for (int64_t i = 0; i < 3; ++i) {
          input.Send(i);
          input.Flush();
        }
        ++sent[epoch];
        input.AdvanceTo(epoch + 2);
        for (int i = 0; i < worker.index(); ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      }
      return absl::OkStatus();
    }));
    std::vector<Epoch> expected;
    for (Epoch epoch = 0; epoch < 30; ++epoch) expected.push_back(epoch);
    for (const auto& epochs : told) CHECK(epochs.InOrder() == expected);
    CHECK(early == 0);
  }
}

TEST_CASE("a capability holds the frontier back: delayed, cloned, and over many rounds") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    CheckOk(Execute({.workers = workers}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      ProbeHandle<> probe;
      Capability<> held;
      NodeOutput<int64_t>* out = nullptr;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) |
            Unary<int64_t>("step", pact::Pipeline{},
                           [&](Capability<> first) {
                             held = std::move(first);
                             return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>& output) {
                               out = &output;
                               in.ForEach([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
                             };
                           }) |
            Exchange("spread") | Probe(probe);
      }));
      auto pass = [&](Epoch epoch) {
        return worker.StepWhile([&] { return probe.LessThan(epoch); });
      };
      input.AdvanceTo(1000);
      for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      CHECK(probe.LessEqual(0));
      held.Downgrade(10);
      HEADWAY_RETURN_IF_ERROR(pass(10));
      CHECK(probe.LessEqual(10));
      Capability<> clone = held.Clone();
      Capability<> later = held.Delayed(20);
      CHECK(clone.held());
      CHECK(clone.time() == 10);
      CHECK(later.time() == 20);
      held.Drop();
      CHECK_FALSE(held.held());
      for (int i = 0; i < 100; ++i) HEADWAY_RETURN_IF_ERROR(worker.Step());
      CHECK(probe.LessEqual(10));  // the clone's
      clone = std::move(later);    // drops what `clone` held
      HEADWAY_RETURN_IF_ERROR(pass(20));
      CHECK(probe.LessEqual(20));
      for (Epoch epoch = 21; epoch < 200; ++epoch) {
        clone.Downgrade(epoch);
        if (epoch % 3 == 0) HEADWAY_RETURN_IF_ERROR(worker.Step());
      }
      HEADWAY_RETURN_IF_ERROR(pass(199));
      CHECK(probe.LessEqual(199));
      clone.Drop();
      return pass(1000);
    }));
  }
}

TEST_CASE(
    "records given one by one and as batches keep their order and times (timely #523, #721)") {
  Collected<std::pair<Epoch, int64_t>> seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    internal::Endpoint* endpoint = nullptr;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      endpoint = &scope.graph().worker().endpoint();
      scope.Input(input) | Filter("all", [](int64_t) { return true; }) |
          CollectWithTime<int64_t, Epoch>("collect", seen);
    }));
    for (Epoch epoch = 0; epoch < 3; ++epoch) {
      input.Send(int64_t{1});
      Batch<int64_t> batch;
      input.SendBatch(std::move(batch));  // empty: nothing
      Batch<int64_t> two;
      two.Allocate(*endpoint, int64_t{2});
      two.TryAppend(int64_t{2});
      two.TryAppend(int64_t{3});
      input.SendBatch(std::move(two));
      input.Send(int64_t{4});
      input.AdvanceTo(epoch + 1);
    }
    return absl::OkStatus();
  }));
  std::vector<std::pair<Epoch, int64_t>> expected;
  for (Epoch epoch = 0; epoch < 3; ++epoch) {
    for (int64_t i = 1; i <= 4; ++i) expected.push_back({epoch, i});
  }
  CHECK(seen.InOrder() == expected);
}

}  // namespace
}  // namespace headway
