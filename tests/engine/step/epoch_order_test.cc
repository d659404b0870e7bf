// Steps apply batches in the order of their epochs when the run asks for it.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "headway.h"

namespace headway {
namespace {

using Keyed = std::pair<int, int>;

TEST_CASE("what comes first of a later epoch is applied after what comes of an earlier one") {
  std::vector<int> applied;
  absl::Status status = Execute(
      {.workers = 1, .run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
        InputHandle<Keyed> later;
        InputHandle<Keyed> earlier;
        HEADWAY_RETURN_IF_ERROR(worker.Build("order", [&](Scope<>& scope) {
          scope.Input(later) | Merge("both", scope.Input(earlier)) |
              StatefulMap<int>("apply", [&](std::optional<int>&, int value) {
                applied.push_back(value);
                return value;
              });
        }));
        later.AdvanceTo(6);
        later.Send(Keyed{0, 6});
        later.Flush();
        HEADWAY_RETURN_IF_ERROR(worker.Step());
        CHECK(applied.empty());
        earlier.AdvanceTo(5);
        earlier.Send(Keyed{0, 5});
        earlier.Flush();
        later.Close();
        earlier.Close();
        return absl::OkStatus();
      });
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  CHECK(applied == std::vector{5, 6});
}

TEST_CASE("batches of one epoch keep their order") {
  std::vector<int> applied;
  absl::Status status = Execute(
      {.workers = 1, .run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
        InputHandle<Keyed> input;
        InputHandle<Keyed> holds_back;
        HEADWAY_RETURN_IF_ERROR(worker.Build("order", [&](Scope<>& scope) {
          scope.Input(input) | Merge("both", scope.Input(holds_back)) |
              StatefulMap<int>("apply", [&](std::optional<int>&, int value) {
                applied.push_back(value);
                return value;
              });
        }));
        input.AdvanceTo(1);
        for (int i = 0; i < 3; ++i) {
          input.Send(Keyed{0, i});
          input.Flush();
          HEADWAY_RETURN_IF_ERROR(worker.Step());
        }
        CHECK(applied.empty());
        holds_back.AdvanceTo(1);
        input.Send(Keyed{0, 3});
        return absl::OkStatus();
      });
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  CHECK(applied == std::vector{0, 1, 2, 3});
}

TEST_CASE("a watermark is applied in its epoch, when batches of a later one have come before") {
  std::vector<std::pair<Epoch, EventTime>> raises;
  absl::Status status = Execute(
      {.workers = 1, .run = {.apply_in_epoch_order = true}}, [&](Worker& worker) -> absl::Status {
        InputHandle<int64_t> first;
        InputHandle<int64_t> second;
        HEADWAY_RETURN_IF_ERROR(worker.Build("order", [&](Scope<>& scope) {
          const EventClock times(std::identity(), 0);
          const auto numbers = scope.Input(first) | AssignEventTime("first_time", times) |
                               Merge("both", scope.Input(second) | AssignEventTime("time", times));
          KeyedOperator<int64_t, int64_t, Epoch, std::identity> keyed(numbers, "step",
                                                                      std::identity());
          auto& output = keyed.AddOutput<int64_t>();
          keyed.OnBatch([](const CapabilityRef<Epoch>&, Batch<int64_t>&) {});
          keyed.OnWatermark([&raises, &step = keyed.step()](const CapabilityRef<Epoch>& time) {
            raises.emplace_back(time.time(), step.watermark());
          });
          keyed.Build(output);
        }));
        auto send = [&](InputHandle<int64_t>& input, int64_t number) {
          input.Send(number);
          input.Flush();
          for (int i = 0; i < 10; ++i) CHECK(worker.Step().ok());
        };
        send(first, 100);
        send(second, 10);
        first.AdvanceTo(6);
        send(first, 200);
        second.AdvanceTo(5);
        send(second, 60);
        second.AdvanceTo(6);
        send(second, 300);
        return absl::OkStatus();
      });
  REQUIRE_MESSAGE(status.ok(), status.ToString());
  REQUIRE(raises.size() >= 3);
  CHECK(raises[0] == std::pair(Epoch{0}, EventTime{10}));
  CHECK(raises[1] == std::pair(Epoch{5}, EventTime{60}));
  CHECK(raises[2] == std::pair(Epoch{6}, EventTime{200}));
}

}  // namespace
}  // namespace headway
