// Objects that belong to one call: a session, the right to send of a batch, the output of a reader
// or of a transform. One that is used after its call, or from another place, ends the run with the
// step and the reason.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;
using Session = NodeOutput<int64_t>::Session;
using TimesAndRecords = std::vector<std::pair<Epoch, int64_t>>;

static_assert(!std::is_copy_constructible_v<Session> && !std::is_move_constructible_v<Session>);
static_assert(!std::is_copy_constructible_v<CapabilityRef<>> &&
              !std::is_move_constructible_v<CapabilityRef<>>);
static_assert(!std::is_copy_constructible_v<SourceOutput<int64_t>> &&
              !std::is_move_constructible_v<SourceOutput<int64_t>>);
static_assert(!std::is_copy_constructible_v<TransformOutput<int64_t, Epoch>> &&
              !std::is_move_constructible_v<TransformOutput<int64_t, Epoch>>);

// Runs step 'op' on one worker, with a batch of one record in each of three epochs. `use` is called
// in each activation. Returns the status of the run, and the records of 'op' in `seen`.
absl::Status RunThreeEpochs(
    const std::function<void(NodeInput<int64_t>&, NodeOutput<int64_t>&)>& use,
    TimesAndRecords* seen = nullptr) {
  Collected<std::pair<Epoch, int64_t>> collected;
  const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    ProbeHandle<> probe;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) |
          Unary<int64_t>("op", pact::Pipeline{},
                         [&](Capability<>) {
                           return [&use](NodeInput<int64_t>& in, NodeOutput<int64_t>& out) {
                             use(in, out);
                           };
                         }) |
          CollectWithTime<int64_t, Epoch>("collect", collected) | Probe(probe);
    }));
    for (Epoch epoch = 0; epoch < 3; ++epoch) {
      input.Send(static_cast<int64_t>(epoch));
      input.AdvanceTo(epoch + 1);
      HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return probe.LessThan(input.time()); }));
    }
    return absl::OkStatus();
  });
  if (seen != nullptr) *seen = collected.Sorted();
  return status;
}

TEST_CASE("a session that is kept when the logic returns") {
  std::unique_ptr<Session> kept;
  TimesAndRecords seen;
  const absl::Status status = RunThreeEpochs(
      [&](auto& in, auto& out) {
        in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
          if (kept == nullptr) kept.reset(new Session(out.SessionAt(time)));
          for (int64_t x : batch) kept->Give(x);
        });
      },
      &seen);
  CheckError(status, StatusCode::kFailedPrecondition,
             {"step 'op'", OnWorker(0), "session", "was kept when the logic returned"});
  CHECK(seen.empty());
  ::operator delete(kept.release());  // without the destructor: its output is gone
}

TEST_CASE("two open sessions of an output at different times") {
  CheckError(RunThreeEpochs([](auto& in, auto& out) {
               in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
                 const Capability<> later = time.Delayed(time.time() + 5);
                 auto now = out.SessionAt(time);
                 auto then = out.SessionAt(later);
                 for (int64_t x : batch) {
                   now.Give(x);
                   then.Give(x);
                 }
               });
             }),
             StatusCode::kFailedPrecondition, {"step 'op'", OnWorker(0), "time 5", "time 0"});
}

TEST_CASE("sessions of one time together, or of several times after each other") {
  TimesAndRecords seen;
  CheckOk(RunThreeEpochs(
      [](auto& in, auto& out) {
        in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
          const Capability<> later = time.Delayed(time.time() + 5);
          for (int64_t x : batch) {
            auto first = out.SessionAt(time);
            auto second = out.SessionAt(time);
            first.Give(10 * x);
            second.Give(10 * x + 1);
            first.Give(10 * x + 2);
          }
          for (int64_t x : batch) out.SessionAt(later).Give(-x);
          for (int64_t x : batch) out.SessionAt(time).Give(10 * x + 3);
        });
      },
      &seen));
  CHECK(seen == TimesAndRecords{{0, 0},
                                {0, 1},
                                {0, 2},
                                {0, 3},
                                {1, 10},
                                {1, 11},
                                {1, 12},
                                {1, 13},
                                {2, 20},
                                {2, 21},
                                {2, 22},
                                {2, 23},
                                {5, 0},
                                {6, -1},
                                {7, -2}});
}

TEST_CASE("the time of a batch, used after the call that received it") {
  const std::vector<std::function<void(const CapabilityRef<>&, NodeOutput<int64_t>&)>> uses = {
      [](auto& kept, auto& out) { out.SessionAt(kept).Give(int64_t{42}); },
      [](auto& kept, auto&) { CHECK_FALSE(kept.Retain().held()); },
      [](auto& kept, auto&) { CHECK_FALSE(kept.Delayed(7).held()); },
  };
  for (const auto& use : uses) {
    const CapabilityRef<>* kept = nullptr;
    CheckError(RunThreeEpochs([&](auto& in, auto& out) {
                 in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>& batch) {
                   kept = &time;
                   out.SessionAt(time).GiveBatch(std::move(batch));
                 });
                 if (kept != nullptr) use(*kept, out);
               }),
               StatusCode::kFailedPrecondition,
               {"step 'op'", OnWorker(0), "after the call that received it", "Retain"});
  }
}

TEST_CASE("an input that is read outside of its logic, or twice at a time") {
  CheckError(RunThreeEpochs([](auto& in, auto&) {
               in.ForEach([&](const CapabilityRef<>&, Batch<int64_t>&) {
                 in.ForEach([](const CapabilityRef<>&, Batch<int64_t>&) {});
               });
             }),
             StatusCode::kFailedPrecondition, {"step 'op'", OnWorker(0), "ForEach"});
  NodeInput<int64_t>* other = nullptr;
  Dataflow flow("flow", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", NumbersOfEachWorker(10));
    numbers | Unary<int64_t>("first", pact::Pipeline{}, [&](Capability<>) {
      return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>&) {
        other = &in;
        in.ForEach([](const CapabilityRef<>&, Batch<int64_t>&) {});
      };
    }) | Unary<int64_t>("second", pact::Pipeline{}, [&](Capability<>) {
      return [&](NodeInput<int64_t>&, NodeOutput<int64_t>&) {
        if (other != nullptr) other->ForEach([](const CapabilityRef<>&, Batch<int64_t>&) {});
      };
    });
  });
  CheckError(RunMain(flow), StatusCode::kFailedPrecondition,
             {"step 'first'", OnWorker(0), "outside of the step's logic"});
}

TEST_CASE("an output that the host, or another step, uses") {
  for (const bool by_host : {true, false}) {
    CAPTURE(by_host);
    NodeOutput<int64_t>* output = nullptr;
    Capability<> held;
    const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        OperatorBuilder<Epoch> builder(scope, "op");
        output = &builder.AddOutput<int64_t>();
        builder.Build([&](std::vector<Capability<>> first) {
          held = std::move(first[0]);
          return [] {};
        });
        scope.Input(input) | Inspect("other", [&](int64_t) {
          if (!by_host) output->SessionAt(held).Give(int64_t{1});
        });
      }));
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      if (by_host) output->SessionAt(held).Give(int64_t{1});
      input.Send(1);
      input.Flush();
      return absl::OkStatus();
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"step 'op'", OnWorker(0), "outside of the step's logic"});
    held = Capability<>();
  }
}

// Emits 1, and again outside of Poll when a step calls `emit`.
struct KeepsItsOutput {
  using Record = int64_t;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      *emit = [&out] { out.Emit(int64_t{2}); };
      out.Emit(int64_t{1});
      return SourceState::Done();
    }
    std::string Snapshot() const { return ""; }
    std::function<void()>* emit;
  };
  absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>) {
    return Reader{emit};
  }
  std::function<void()>* emit;
};

TEST_CASE("the output of a reader, used after Poll") {
  std::function<void()> emit;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("source", KeepsItsOutput{&emit}) | Exchange("spread") |
        Inspect("emit", [&](int64_t) { emit(); });
  });
  CheckError(RunMain(flow), StatusCode::kFailedPrecondition,
             {"step 'source'", OnWorker(0), "outside of the step's logic"});
}

TEST_CASE("the output of a transform, used after its call") {
  using Output = TransformOutput<int64_t, Epoch>;
  const std::vector<std::function<void(Output&)>> uses = {
      [](auto& kept) { kept.Give(int64_t{2}); },
      [](auto& kept) { kept.BatchWithRoom(); },
      [](auto& kept) { kept.GiveBatch(Batch<int64_t>()); },
  };
  for (const auto& use : uses) {
    Output* kept = nullptr;
    Dataflow flow("flow", [&](Scope<>& scope) {
      auto numbers = scope.Input("numbers", NumbersOfEachWorker(3));
      Transform<int64_t>(numbers, "keeps",
                         [&](Batch<int64_t>& batch, Output& out) {
                           kept = &out;
                           for (int64_t x : batch) out.Give(x);
                         }) |
          Exchange("spread") | Inspect("use", [&](int64_t) { use(*kept); });
    });
    CheckError(RunMain(flow), StatusCode::kFailedPrecondition,
               {"step 'keeps'", OnWorker(0), "after the call that received it"});
  }
}

struct Point {
  int x;
  int y;
};

struct YieldsBraces {
  using Record = Point;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<Point>& out) {
      out.Emit({1, 2});
      return SourceState::Done();
    }
    std::string Snapshot() const { return ""; }
  };
  absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>) { return Reader{}; }
};

TEST_CASE("a record in braces can be sent, emitted and given") {
  std::vector<int> seen;
  auto see = [&](const Point& p) { seen.push_back(10 * p.x + p.y); };
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<Point> input;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      auto points = scope.Input("source", YieldsBraces()) | Merge("merge", scope.Input(input));
      Transform<Point>(points, "turn", [](Batch<Point>& batch, TransformOutput<Point, Epoch>& out) {
        for (const Point& p : batch) out.Give({p.y, p.x});
      }) | Unary<Point>("op", pact::Pipeline{}, [](Capability<>) {
        return [](NodeInput<Point>& in, NodeOutput<Point>& out) {
          in.ForEach([&](const CapabilityRef<>& time, Batch<Point>& batch) {
            auto session = out.SessionAt(time);
            for (const Point& p : batch) session.Give({p.x + 1, p.y + 1});
          });
        };
      }) | Inspect("see", see);
    }));
    input.Send({3, 4});
    return absl::OkStatus();
  }));
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<int>{32, 54});
}

}  // namespace
}  // namespace headway
