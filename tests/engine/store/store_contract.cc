#include "tests/engine/store/store_contract.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "doctest/doctest.h"
#include "engine/store/store.h"

namespace headway::internal {
namespace {

constexpr uint64_t kLastHash = std::numeric_limits<uint64_t>::max();

PartitionChange::NewRun RunOf(uint32_t step, Epoch first, Epoch last, std::string bytes) {
  PartitionChange::NewRun run;
  run.run.step = step;
  run.run.first_epoch = first;
  run.run.last_epoch = last;
  run.run.row_count = 3;
  run.run.byte_count = bytes.size() + 1;
  run.run.written_at_ms = 1234567890123;
  run.blocks.push_back({7, uint64_t{1} << 63, 2, std::move(bytes)});
  run.blocks.push_back({kLastHash, kLastHash, 1, std::string(1, '\0')});
  return run;
}

// "step first-last" of every run.
std::vector<std::string> RunsOf(StorePartition& partition) {
  std::vector<std::string> texts;
  const absl::StatusOr<PartitionContents> contents = partition.ReadContents();
  REQUIRE(contents.ok());
  for (const StoredRun& run : contents->runs) {
    texts.push_back(std::to_string(run.step) + " " + std::to_string(run.first_epoch) + "-" +
                    std::to_string(run.last_epoch));
  }
  return texts;
}

int64_t IdOf(StorePartition& partition, uint32_t step, Epoch first) {
  const PartitionContents contents = partition.ReadContents().value();
  for (const StoredRun& run : contents.runs) {
    if (run.step == step && run.first_epoch == first) return run.id;
  }
  return -1;
}

using Texts = std::vector<std::string>;

void CheckEmpty(RecoveryStore& store) {
  CHECK(store.PartitionCount().value() == 0);
  CHECK(store.Create(3, "store id").ok());
  CHECK(store.PartitionCount().value() == 3);
  CHECK(store.Create(3, "other").code() == absl::StatusCode::kFailedPrecondition);
  CHECK(!store.OpenToRead(3).ok());
  for (int index = 0; index < 3; ++index) {
    absl::StatusOr<std::unique_ptr<StorePartition>> partition = store.OpenToRead(index);
    REQUIRE(partition.ok());
    const PartitionContents contents = (*partition)->ReadContents().value();
    CHECK(contents.index == index);
    CHECK(contents.count == 3);
    CHECK(contents.store_id == "store id");
    CHECK(contents.durable_end == 0);
    CHECK(contents.committed_end == 0);
    CHECK(contents.generations.empty());
    CHECK(contents.steps.empty());
    CHECK(contents.runs.empty());
  }
}

void CheckOneChange(RecoveryStore& store) {
  std::unique_ptr<StorePartition> writer = std::move(*store.OpenToWrite(1, "test", false));
  PartitionChange change;
  change.generation = 1;
  change.begins = Generation{1, 2, 0, 4, 5};
  change.new_steps = {{1, "flow.count"}, {2, "flow.sink"}};
  change.new_runs = {RunOf(2, 5, 6, "later"), RunOf(1, 0, 4, "first"), RunOf(2, 0, 4, "second")};
  change.new_runs[1].run.is_base = true;
  change.durable_end = 7;
  change.committed_end = 5;
  CHECK(writer->Apply(change).ok());
  // A change whose answer was lost may be applied again.
  CHECK(writer->Apply(change).ok());

  const std::unique_ptr<StorePartition> reader = std::move(*store.OpenToRead(1));
  const PartitionContents contents = reader->ReadContents().value();
  CHECK(contents.durable_end == 7);
  CHECK(contents.committed_end == 5);
  REQUIRE(contents.generations.size() == 1);
  CHECK(contents.generations[0].number == 1);
  CHECK(contents.generations[0].execution == 2);
  CHECK(contents.generations[0].resume_epoch == 0);
  CHECK(contents.generations[0].worker_count == 4);
  CHECK(contents.generations[0].started_at_ms == 5);
  REQUIRE(contents.steps.size() == 2);
  CHECK(contents.steps[0].number == 1);
  CHECK(contents.steps[0].id == "flow.count");
  CHECK(RunsOf(*reader) == Texts{"1 0-4", "2 0-4", "2 5-6"});
  const StoredRun& run = contents.runs[0];
  CHECK(run.is_base);
  CHECK(!contents.runs[1].is_base);
  CHECK(run.row_count == 3);
  CHECK(run.byte_count == 6);
  CHECK(run.written_at_ms == 1234567890123);
  const std::vector<StoredBlock> blocks = reader->ListBlocks(run.id).value();
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0].first_hash == 7);
  CHECK(blocks[0].last_hash == uint64_t{1} << 63);
  CHECK(blocks[0].row_count == 2);
  CHECK(blocks[1].last_hash == kLastHash);
  CHECK(reader->ReadBlock(run.id, 0).value() == "first");
  CHECK(reader->ReadBlock(run.id, 1).value() == std::string(1, '\0'));
  CHECK(reader->ReadBlock(run.id, 2).status().code() == absl::StatusCode::kNotFound);
  CHECK(reader->ReadBlock(12345, 0).status().code() == absl::StatusCode::kNotFound);
  CHECK(reader->ListBlocks(12345).status().code() == absl::StatusCode::kNotFound);
  CHECK(RunsOf(**store.OpenToRead(0)).empty());
}

void CheckRemovals(RecoveryStore& store) {
  std::unique_ptr<StorePartition> writer = std::move(*store.OpenToWrite(1, "test", false));
  PartitionChange merge;
  merge.generation = 1;
  const int64_t old = IdOf(*writer, 2, 0);
  merge.removed_runs = {old, IdOf(*writer, 2, 5)};
  merge.new_runs = {RunOf(2, 0, 6, "merged")};
  CHECK(writer->Apply(merge).ok());
  CHECK(writer->Apply(merge).ok());
  CHECK(RunsOf(*writer) == Texts{"1 0-4", "2 0-6"});
  CHECK(writer->ReadBlock(old, 0).status().code() == absl::StatusCode::kNotFound);
  CHECK(IdOf(*writer, 2, 0) != old);

  PartitionChange rename;
  rename.generation = 2;
  rename.begins = Generation{2, 2, 7, 1, 6};
  rename.renamed_steps = {{1, "flow.total"}};
  rename.removed_steps = {2};
  rename.removed_generations = {1};
  CHECK(writer->Apply(rename).ok());
  const PartitionContents contents = writer->ReadContents().value();
  REQUIRE(contents.steps.size() == 1);
  CHECK(contents.steps[0].id == "flow.total");
  CHECK(RunsOf(*writer) == Texts{"1 0-4"});
  REQUIRE(contents.generations.size() == 1);
  CHECK(contents.generations[0].number == 2);
  CHECK(contents.durable_end == 7);
}

void CheckFences(const std::function<std::shared_ptr<RecoveryStore>()>& make_store) {
  const std::shared_ptr<RecoveryStore> store = make_store();
  std::unique_ptr<StorePartition> writer = std::move(*store->OpenToWrite(1, "cluster A", false));
  const absl::Status locked = make_store()->OpenToWrite(1, "cluster B", false).status();
  CHECK(locked.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(locked.message()).find("cluster A") != std::string::npos);
  CHECK(make_store()->OpenToWrite(1, "cluster B", true).status().message() == locked.message());
  CHECK(make_store()->OpenToWrite(2, "cluster B", false).ok());

  absl::StatusOr<std::unique_ptr<StorePartition>> successor =
      make_store()->OpenToWrite(1, "cluster A", true);
  REQUIRE(successor.ok());
  // The writer of the old generation may still add an epoch. The new one starts without it.
  PartitionChange last;
  last.generation = 4;
  last.new_runs = {RunOf(1, 7, 7, "too late")};
  CHECK((*successor)->Apply(last).ok());
  CHECK(RunsOf(**successor) == Texts{"1 0-4", "1 7-7"});
  // Or merge it with earlier ones. The new one would lose these: it does not begin.
  PartitionChange merge;
  merge.generation = 4;
  merge.removed_runs = {IdOf(**successor, 1, 7)};
  merge.new_runs = {RunOf(1, 6, 7, "merged")};
  CHECK((*successor)->Apply(merge).ok());
  PartitionChange begin;
  begin.generation = 5;
  begin.begins = Generation{5, 3, 7, 1, 6};
  const absl::Status spanned = (*successor)->Apply(begin);
  CHECK(spanned.code() == absl::StatusCode::kAborted);
  CHECK(std::string(spanned.message()).find("has merged epochs up to 7") != std::string::npos);
  CHECK(RunsOf(**successor) == Texts{"1 0-4", "1 6-7"});
  PartitionChange removal;
  removal.generation = 4;
  removal.removed_runs = {IdOf(**successor, 1, 6)};
  removal.new_runs = {RunOf(1, 7, 7, "too late")};
  CHECK((*successor)->Apply(removal).ok());
  CHECK((*successor)->Apply(begin).ok());
  PartitionChange late;
  late.generation = 4;
  late.durable_end = 100;
  late.new_runs = {RunOf(1, 5, 5, "zombie")};
  const absl::Status refused = writer->Apply(late);
  CHECK(refused.code() == absl::StatusCode::kAborted);
  CHECK(std::string(refused.message()).find("taken over") != std::string::npos);
  CHECK((*successor)->ReadContents()->durable_end == 7);
  CHECK(RunsOf(**successor) == Texts{"1 0-4"});

  // The lock ends with its holder.
  writer.reset();
  successor->reset();
  CHECK(make_store()->OpenToWrite(1, "cluster B", false).ok());
}

}  // namespace

void CheckStoreContract(const std::function<std::shared_ptr<RecoveryStore>()>& make_store) {
  CheckEmpty(*make_store());
  CheckOneChange(*make_store());
  CheckRemovals(*make_store());
  CheckFences(make_store);
}

}  // namespace headway::internal
