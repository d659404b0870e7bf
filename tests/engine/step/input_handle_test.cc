// An InputHandle that is moved, used before or in the build, or used by its own dataflow.
#include "engine/step/input_handle.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

TEST_CASE("a handle that is used before it is part of a dataflow is an error of the build") {
  const std::vector<std::pair<std::string, std::function<void(InputHandle<int64_t>&)>>> cases = {
      {"Send", [](auto& input) { input.Send(1); }},
      {"SendBatch", [](auto& input) { input.SendBatch(Batch<int64_t>()); }},
      {"AdvanceTo", [](auto& input) { input.AdvanceTo(5); }},
      {"Close", [](auto& input) { input.Close(); }},
  };
  for (const auto& [name, use] : cases) {
    CAPTURE(name);
    const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      use(input);
      input.Send(2);
      CHECK(input.time() == 0);
      CHECK(input.HasCredit());
      return worker.Build("flow", [&](Scope<>& scope) { scope.Input(input) | Exchange("x"); });
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"step 'InputHandle-0'", OnWorker(0), name + " was called", "before", "Build"});
  }
}

TEST_CASE("the function that builds the dataflow may close an input, but not feed it") {
  const std::vector<std::function<void(InputHandle<int64_t>&)>> uses = {
      [](auto& input) { input.Send(1); },
      [](auto& input) { input.SendBatch(Batch<int64_t>()); },
      [](auto& input) { input.Flush(); },
      [](auto& input) { input.AdvanceTo(5); },
  };
  for (const auto& use : uses) {
    const absl::Status status = Execute({.workers = 2}, [&](Worker& worker) -> absl::Status {
      InputHandle<int64_t> input;
      return worker.Build("flow", [&](Scope<>& scope) {
        auto stream = scope.Input(input) | Exchange("spread");
        use(input);
      });
    });
    CheckError(status, StatusCode::kFailedPrecondition,
               {"step 'InputHandle-0'", "the function that builds its dataflow"});
  }
  CheckOk(Execute({.workers = 2}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> closed;
    return worker.Build("flow", [&](Scope<>& scope) {
      InputHandle<int64_t> local;
      scope.Input(closed) | Merge("merge", scope.Input(local)) | Exchange("spread");
      closed.Close();
    });
  }));
}

TEST_CASE("a handle that was moved from is closed, and the other one goes on") {
  Collected<int64_t> collected;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> first;
    InputHandle<int64_t> other;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(first) | Merge("merge", scope.Input(other)) |
          CollectInto<int64_t>("collect", collected);
    }));
    first.Send(1);
    other.Send(10);
    InputHandle<int64_t> second = std::move(first);
    second.Send(2);
    other = std::move(second);  // ends the other input
    other.Send(3);
    other.AdvanceTo(4);
    for (InputHandle<int64_t>* moved : {&first, &second}) {
      moved->Send(100);
      moved->SendBatch(Batch<int64_t>());
      moved->Flush();
      moved->AdvanceTo(7);
      CHECK(moved->HasCredit());
      CHECK(moved->time() == 0);
      moved->Close();
    }
    CHECK(other.time() == 4);
    InputHandle<int64_t>& same = other;
    other = std::move(same);
    other.Send(4);
    other.Close();
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
    second = InputHandle<int64_t>();  // a new one
    HEADWAY_RETURN_IF_ERROR(worker.Build("next", [&](Scope<>& scope) {
      scope.Input(second) | CollectInto<int64_t>("collect", collected);
    }));
    second.Send(5);
    return absl::OkStatus();
  }));
  CHECK(collected.Sorted() == std::vector<int64_t>{1, 2, 3, 4, 5, 10});
}

TEST_CASE("a handle that was moved from cannot become an input") {
  const absl::Status status = Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> first;
    InputHandle<int64_t> second = std::move(first);
    return worker.Build("flow", [&](Scope<>& scope) { scope.Input(first) | Exchange("x"); });
  });
  CheckError(status, StatusCode::kFailedPrecondition,
             {"step 'InputHandle-0'", OnWorker(0), "was moved from"});
}

TEST_CASE("a handle can feed another dataflow once its first one is gone") {
  Collected<int64_t> collected;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    for (int64_t flow = 0; flow < 3; ++flow) {
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | CollectInto<int64_t>("collect", collected);
      }));
      input.Send(flow);
      input.AdvanceTo(1);
      if (flow == 0) {
        HEADWAY_RETURN_IF_ERROR(worker.Cancel("flow"));
        input.Send(100);  // has no effect
        input.AdvanceTo(8);
      } else {
        input.Close();
        HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return worker.HasDataflows(); }));
      }
    }
    return absl::OkStatus();
  }));
  CHECK(collected.Sorted() == std::vector<int64_t>{0, 1, 2});
}

// Runs a dataflow whose step 'feed' calls `use`, with the handle of the dataflow's input, for each
// record. Records reach the step as `way` says.
absl::Status RunWithUse(const std::string& way,
                        const std::function<void(InputHandle<int64_t>&)>& use, int* calls) {
  return Execute({}, [&](Worker& worker) -> absl::Status {
    InputHandle<int64_t> input;
    auto feed = [&](int64_t) {
      ++*calls;
      use(input);
    };
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      auto records = scope.Input(input);
      if (way == "push") {
        records | Inspect("feed", feed);
      } else if (way == "exchange") {
        records | Exchange("spread") | Inspect("feed", feed);
      } else {
        records | UnaryNotify<int64_t>("feed", pact::Pipeline{}, [&](Capability<>, auto&) {
          return [&](NodeInput<int64_t>& in, NodeOutput<int64_t>&, Notificator<>& notificator) {
            in.ForEach([&](const CapabilityRef<>& time, Batch<int64_t>&) {
              notificator.NotifyAt(time.Retain());
            });
            while (notificator.Next(in.frontier())) feed(0);
          };
        });
      }
    }));
    input.Send(1);
    input.AdvanceTo(1);
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return *calls == 0; }));
    input.Close();
    return worker.StepWhile([&] { return worker.HasDataflows(); });
  });
}

TEST_CASE("a function that feeds or closes its own dataflow's input is refused at once") {
  const std::map<std::string, std::function<void(InputHandle<int64_t>&)>> uses = {
      {"Send", [](auto& input) { input.Send(2); }},
      {"SendBatch", [](auto& input) { input.SendBatch(Batch<int64_t>()); }},
      {"Flush", [](auto& input) { input.Flush(); }},
      {"AdvanceTo", [](auto& input) { input.AdvanceTo(9); }},
      {"Close", [](auto& input) { input.Close(); }},
  };
  for (const std::string way : {"push", "exchange", "notification"}) {
    CAPTURE(way);
    for (const auto& [name, use] : uses) {
      CAPTURE(name);
      int calls = 0;
      CheckError(RunWithUse(way, use, &calls), StatusCode::kFailedPrecondition,
                 {"step 'InputHandle-0'", OnWorker(0), name + " was called", "same dataflow",
                  "when the worker's step is over"});
      CHECK(calls == 1);
    }
  }
}

}  // namespace
}  // namespace headway
