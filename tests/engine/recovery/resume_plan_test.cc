#include "engine/recovery/resume_plan.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/store.h"
#include "tests/engine/run_helpers.h"

namespace headway::internal {
namespace {

// Partition `index` of a store with two, as generation `generation` has left it.
PartitionContents Partition(int index, uint64_t generation, Epoch durable_end,
                            Epoch committed_end) {
  PartitionContents contents;
  contents.index = index;
  contents.count = 2;
  contents.store_id = "id";
  contents.durable_end = durable_end;
  contents.committed_end = committed_end;
  // Each generation ran ten epochs.
  for (uint64_t number = 1; number <= generation; ++number) {
    contents.generations.push_back(
        {.number = number, .execution = number, .resume_epoch = 10 * (number - 1)});
  }
  contents.steps = {{.number = 1, .id = "flow.sum"}};
  return contents;
}

StoredRun RunOf(Epoch first, Epoch last, uint64_t rows = 1) {
  return {.step = 1, .first_epoch = first, .last_epoch = last, .row_count = rows};
}

absl::StatusOr<ResumePlan> Plan(const std::vector<PartitionContents>& partitions) {
  return PlanResume(partitions, 5, 1234, "the store");
}

Epoch ResumeEpoch(const std::vector<PartitionContents>& partitions) {
  const absl::StatusOr<ResumePlan> plan = Plan(partitions);
  REQUIRE_MESSAGE(plan.ok(), plan.status().ToString());
  return plan->resume_epoch;
}

TEST_CASE("a store without generations begins at the first epoch of the options") {
  const absl::StatusOr<ResumePlan> plan = Plan({Partition(0, 0, 0, 0), Partition(1, 0, 0, 0)});
  REQUIRE(plan.ok());
  CHECK(plan->resume_epoch == 5);
  CHECK(plan->generation == 1);
  CHECK(plan->execution == 1);
  CHECK(plan->partition_count == 2);
  CHECK(plan->store_id == "id");
  CHECK(plan->started_at_ms == 1234);
}

TEST_CASE("a run resumes at the greatest commit that any partition knows of") {
  CHECK(ResumeEpoch({Partition(0, 1, 8, 7), Partition(1, 1, 9, 4)}) == 7);
  CHECK(ResumeEpoch({Partition(0, 1, 9, 4), Partition(1, 1, 8, 7)}) == 7);
  const absl::StatusOr<ResumePlan> plan = Plan({Partition(0, 3, 28, 27), Partition(1, 3, 28, 20)});
  REQUIRE(plan.ok());
  CHECK(plan->resume_epoch == 27);
  CHECK(plan->generation == 4);
  CHECK(plan->execution == 4);
}

TEST_CASE("a run that has ended is resumed after its last commit") {
  constexpr Epoch kAll = std::numeric_limits<Epoch>::max();
  CHECK(ResumeEpoch({Partition(0, 1, kAll, 9), Partition(1, 1, kAll, 9)}) == 9);
}

TEST_CASE("a copy of a partition that ends earlier takes the others back to its end") {
  CHECK(ResumeEpoch({Partition(0, 1, 8, 7), Partition(1, 1, 3, 2)}) == 3);
  PartitionContents newer = Partition(0, 1, 8, 7);
  newer.runs = {RunOf(0, 2), RunOf(3, 3), RunOf(4, 4)};
  CHECK(ResumeEpoch({newer, Partition(1, 1, 3, 2)}) == 3);
}

TEST_CASE("a copy from an earlier generation counts up to where the next one resumed") {
  // The epochs from 10 on of the first generation were not committed, and were done again.
  CHECK(ResumeEpoch({Partition(0, 1, 13, 9), Partition(1, 2, 18, 17)}) == 10);
  CHECK(ResumeEpoch({Partition(0, 1, 8, 7), Partition(1, 2, 18, 17)}) == 8);
  // The least of all generations that it misses counts: an older copy has taken one back.
  PartitionContents taken_back = Partition(1, 3, 28, 27);
  taken_back.generations[2].resume_epoch = 4;
  CHECK(ResumeEpoch({Partition(0, 1, 13, 9), taken_back}) == 4);
  // A commit that a lost generation has stated does not count either.
  CHECK(ResumeEpoch({Partition(0, 2, 18, 2), Partition(1, 1, 14, 14)}) == 10);
}

TEST_CASE("a partition that has merged epochs across the resume epoch is refused, and named") {
  PartitionContents newer = Partition(0, 1, 8, 7);
  newer.runs = {RunOf(0, 6)};
  CheckError(
      Plan({newer, Partition(1, 1, 3, 2)}).status(), absl::StatusCode::kInvalidArgument,
      {"partition 1 of the store ends at epoch 3", "partition 0 has merged the epochs up to 6",
       "restore a newer copy of partition 1, or an older one of partition 0", "backup_interval"});
  // Merged epochs on either side of the resume epoch are no obstacle.
  newer.runs = {RunOf(0, 2), RunOf(3, 6)};
  CHECK(ResumeEpoch({newer, Partition(1, 1, 3, 2)}) == 3);
}

TEST_CASE("a copy from before the generations that the others remember is refused, and named") {
  PartitionContents newer = Partition(0, 5, 48, 47);
  newer.generations.erase(newer.generations.begin(), newer.generations.begin() + 3);
  CheckError(Plan({newer, Partition(1, 2, 18, 17)}).status(), absl::StatusCode::kInvalidArgument,
             {"partition 1 of the store is a copy from before generation 4",
              "restore a newer copy of it"});
  // The one before the first that is remembered misses none.
  CHECK(ResumeEpoch({newer, Partition(1, 3, 28, 27)}) == 28);
}

TEST_CASE("the plan has the steps of all partitions, and says which have state to restore") {
  PartitionContents first = Partition(0, 1, 8, 8);
  first.steps.push_back({.number = 2, .id = "flow.later"});
  first.runs = {RunOf(0, 3)};
  PartitionContents second = Partition(1, 1, 8, 8);
  second.steps.push_back({.number = 3, .id = "flow.empty"});
  second.runs = {{.step = 2, .first_epoch = 8, .last_epoch = 8, .row_count = 1},
                 {.step = 3, .first_epoch = 1, .last_epoch = 1, .row_count = 0}};
  const absl::StatusOr<ResumePlan> plan = Plan({first, second});
  REQUIRE(plan.ok());
  REQUIRE(plan->steps.size() == 3);
  CHECK(plan->steps[0].id == "flow.sum");
  CHECK(plan->steps[0].has_state);
  CHECK(plan->steps[1].id == "flow.later");
  CHECK(!plan->steps[1].has_state);  // its epoch is not committed
  CHECK(plan->steps[2].id == "flow.empty");
  CHECK(!plan->steps[2].has_state);
}

TEST_CASE("partitions that call a step by different ids are refused") {
  PartitionContents renamed = Partition(1, 1, 8, 8);
  renamed.steps = {{.number = 1, .id = "flow.total"}};
  CheckError(Plan({Partition(0, 1, 8, 8), renamed}).status(), absl::StatusCode::kInvalidArgument,
             {"partition 1 of the store", "step number 1 'flow.total'", "'flow.sum'",
              "rename the step again"});
}

}  // namespace
}  // namespace headway::internal
