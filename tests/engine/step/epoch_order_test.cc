// Steps apply batches in the order of their epochs when the run asks for it.
#include <doctest/doctest.h>

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

}  // namespace
}  // namespace headway
