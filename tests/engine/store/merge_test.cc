#include "engine/store/merge.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/stable_hash.h"
#include "doctest/doctest.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "engine/store/store.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/store/memory_store.h"

namespace headway::internal {
namespace {

constexpr uint64_t kLastHash = std::numeric_limits<uint64_t>::max();
using States = std::map<std::string, std::optional<std::string>>;

// One partition, which is written epoch by epoch and compacted after each.
class Fixture {
 public:
  Fixture() {
    CHECK(store_.Create(1, "id").ok());
    partition_ = *store_.OpenToWrite(0, "test", false);
  }

  void WriteEpoch(Epoch epoch, const States& changes, uint32_t step = 0) {
    std::vector<std::string> buffers(1);
    for (const auto& [key, state] : changes) {
      AppendRow({StableHash(key), key, "", state}, buffers[0]);
    }
    PartitionChange change;
    PartitionChange::NewRun& run = change.new_runs.emplace_back();
    run.run.step = step;
    run.run.first_epoch = epoch;
    run.run.last_epoch = epoch;
    run.blocks = *BlocksOf(buffers);
    for (const StoredBlock& block : run.blocks) {
      run.run.row_count += block.row_count;
      run.run.byte_count += block.bytes.size();
    }
    delta_bytes_ += run.run.byte_count;
    CHECK(partition_->Apply(change).ok());
  }

  // Merges until there is nothing to do. Returns the number of merges.
  int CompactAll(Epoch end) {
    for (int merges = 0;; ++merges) {
      absl::StatusOr<PartitionChange> change =
          Compact(*partition_, *partition_->ReadContents(), end);
      REQUIRE(change.ok());
      if (change->removed_runs.empty()) return merges;
      CHECK(partition_->Apply(*change).ok());
    }
  }

  States Read(uint64_t first_hash = 0, uint64_t last_hash = kLastHash, bool keep_tombstones = false,
              uint32_t step = 0) {
    States states;
    std::vector<StoredRun> runs = partition_->ReadContents()->runs;
    std::erase_if(runs, [step](const StoredRun& run) { return run.step != step; });
    uint64_t last = 0;
    bool is_ordered = true;
    const absl::Status status = MergeRuns(
        *partition_, runs, first_hash, last_hash, keep_tombstones, [&](const StateRow& row) {
          const auto [position, is_new] = states.emplace(row.key, std::nullopt);
          if (row.state) position->second = std::string(*row.state);
          is_ordered = is_ordered && is_new && row.hash >= last;
          last = row.hash;
          return absl::OkStatus();
        });
    CHECK(status.ok());
    CHECK(is_ordered);
    return states;
  }

  std::vector<StoredRun> runs() { return partition_->ReadContents()->runs; }
  uint64_t stored_bytes() {
    uint64_t bytes = 0;
    for (const StoredRun& run : runs()) bytes += run.byte_count;
    return bytes;
  }
  uint64_t delta_bytes() const { return delta_bytes_; }
  MemoryStore& store() { return store_; }
  StorePartition& partition() { return *partition_; }

 private:
  MemoryStore store_;
  std::unique_ptr<StorePartition> partition_;
  uint64_t delta_bytes_ = 0;
};

std::string Key(uint64_t number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}

TEST_CASE("a merge has the latest state of every key, whatever was compacted before") {
  const uint64_t seed = TestSeed("merge_test");
  for (int round = 0; round < 40; ++round) {
    INFO("round ", round);
    std::mt19937_64 random(seed + static_cast<uint64_t>(round));
    Fixture fixture;
    States expected;
    const uint64_t keys = 1 + random() % 500;
    // Without compaction more runs than a scan is for.
    const bool compacts = round % 4 != 0;
    const Epoch epochs = (compacts ? 1 : 30) + random() % 30;
    for (Epoch epoch = 0; epoch < epochs; ++epoch) {
      States changes;
      const uint64_t count = random() % 100 == 0 ? 0 : random() % (1 + random() % keys);
      for (uint64_t i = 0; i < count; ++i) {
        changes[std::to_string(random() % keys)] =
            random() % 3 == 0 ? std::nullopt : std::optional(std::to_string(random()));
      }
      fixture.WriteEpoch(epoch, changes);
      for (const auto& [key, state] : changes) {
        if (state) {
          expected[key] = state;
        } else {
          expected.erase(key);
        }
      }
      if (compacts && random() % 2 == 0) fixture.CompactAll(epoch - std::min(epoch, random() % 3));
      REQUIRE((fixture.Read() == expected));
    }
    const uint64_t middle = random();
    States halves = fixture.Read(0, middle);
    halves.merge(fixture.Read(middle + 1, kLastHash));
    CHECK((halves == expected));
    States with_tombstones = fixture.Read(0, kLastHash, true);
    std::erase_if(with_tombstones, [](const auto& row) { return !row.second; });
    CHECK((with_tombstones == expected));
  }
}

TEST_CASE("a merge reads no blocks outside of its range of the hash") {
  Fixture fixture;
  States states;
  for (uint64_t i = 0; i < 4 * kBlockRowsMax; ++i) states[Key(i)] = "state";
  fixture.WriteEpoch(0, states);
  const int64_t calls = fixture.store().calls();
  CHECK(!fixture.Read(0, uint64_t{1} << 62).empty());
  // The contents, the list of blocks, and two blocks at most.
  CHECK(fixture.store().calls() - calls <= 4);
}

TEST_CASE("an error of the function ends a merge") {
  Fixture fixture;
  fixture.WriteEpoch(0, {{"a", "1"}, {"b", "2"}});
  fixture.WriteEpoch(1, {{"a", "1"}, {"b", "2"}});
  int rows = 0;
  const absl::Status status =
      MergeRuns(fixture.partition(), fixture.runs(), 0, kLastHash, false, [&rows](const StateRow&) {
        ++rows;
        return absl::InternalError("enough");
      });
  CHECK(status.message() == "enough");
  CHECK(rows == 1);
}

TEST_CASE("a damaged block is an error that names its place") {
  Fixture fixture;
  PartitionChange change;
  PartitionChange::NewRun& run = change.new_runs.emplace_back();
  run.blocks.push_back({0, 1, 1, "bytes that are no block, and are long enough"});
  run.run.row_count = 1;
  CHECK(fixture.partition().Apply(change).ok());
  const absl::Status status = MergeRuns(fixture.partition(), fixture.runs(), 0, kLastHash, false,
                                        [](const StateRow&) { return absl::OkStatus(); });
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(status.message() ==
        "partition 0 of the recovery store in memory, run 1, block 0: the bytes are no block");
}

TEST_CASE("a run with a missing block is an error") {
  Fixture fixture;
  fixture.WriteEpoch(0, {{"key", "state"}});
  std::vector<StoredRun> runs = fixture.runs();
  runs[0].row_count = 5;
  const absl::Status status = MergeRuns(fixture.partition(), runs, 0, kLastHash, false,
                                        [](const StateRow&) { return absl::OkStatus(); });
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(status.message() ==
        "partition 0 of the recovery store in memory, run 1: blocks are missing, 1 of 5 rows are "
        "there");
}

TEST_CASE("runs of epochs that a resume may need are not merged") {
  Fixture fixture;
  for (Epoch epoch = 0; epoch < 10; ++epoch) fixture.WriteEpoch(epoch, {{"key", "state"}});
  CHECK(fixture.CompactAll(0) == 0);
  fixture.CompactAll(6);
  const std::vector<StoredRun> runs = fixture.runs();
  REQUIRE(runs.size() == 5);
  CHECK(runs[0].is_base);
  CHECK(runs[0].first_epoch == 0);
  CHECK(runs[0].last_epoch == 5);
  for (size_t i = 1; i < runs.size(); ++i) CHECK(!runs[i].is_base);
}

TEST_CASE("steps are compacted apart from each other") {
  Fixture fixture;
  for (Epoch epoch = 0; epoch < 4; ++epoch) {
    fixture.WriteEpoch(epoch, {{"key", "1"}}, 1);
    fixture.WriteEpoch(epoch, {{"key", std::nullopt}}, 2);
    fixture.WriteEpoch(epoch, {{"key", "3"}}, 3);
  }
  fixture.CompactAll(4);
  CHECK(fixture.runs().size() == 3);
  CHECK((fixture.Read(0, kLastHash, true, 1) == States{{"key", "1"}}));
  CHECK(fixture.Read(0, kLastHash, true, 2).empty());
  CHECK((fixture.Read(0, kLastHash, true, 3) == States{{"key", "3"}}));
}

TEST_CASE("keys that are gone leave nothing but a base without rows, which has their epochs") {
  Fixture fixture;
  constexpr uint64_t kKeys = 1000;
  for (Epoch epoch = 0; epoch < 60; ++epoch) {
    States changes;
    for (uint64_t i = 0; i < kKeys; ++i) {
      changes[Key(epoch * kKeys + i)] = "state";
      if (epoch > 0) changes[Key((epoch - 1) * kKeys + i)] = std::nullopt;
    }
    if (epoch == 59) std::erase_if(changes, [](const auto& row) { return row.second; });
    fixture.WriteEpoch(epoch, changes);
    fixture.CompactAll(epoch + 1);
    CHECK(fixture.runs().size() <= 6);
  }
  REQUIRE(fixture.runs().size() == 1);
  CHECK(fixture.runs()[0].is_base);
  CHECK(fixture.runs()[0].row_count == 0);
  CHECK(fixture.runs()[0].byte_count == 0);
  CHECK(fixture.runs()[0].first_epoch == 0);
  CHECK(fixture.runs()[0].last_epoch == 59);
}

TEST_CASE("a state whose keys all change in each epoch is stored and written about twice") {
  Fixture fixture;
  States states;
  for (uint64_t i = 0; i < 3000; ++i) states[Key(i)] = Key(i * i);
  uint64_t live = 0;
  for (Epoch epoch = 0; epoch < 40; ++epoch) {
    fixture.WriteEpoch(epoch, states);
    if (epoch == 0) live = fixture.stored_bytes();
    CHECK(fixture.stored_bytes() <= 3 * live);
    fixture.CompactAll(epoch + 1);
    CHECK(fixture.stored_bytes() <= 2 * live);
  }
  CHECK(fixture.store().bytes_written() <= fixture.delta_bytes() * 21 / 10);
}

TEST_CASE("a state of which a part changes in each epoch stays within three times its size") {
  Fixture fixture;
  const uint64_t seed = TestSeed("merge_test");
  std::mt19937_64 random(seed);
  constexpr uint64_t kKeys = 20000;
  States states;
  for (uint64_t i = 0; i < kKeys; ++i) states[Key(i)] = Key(random());
  fixture.WriteEpoch(0, states);
  const uint64_t live = fixture.stored_bytes();
  for (Epoch epoch = 1; epoch < 250; ++epoch) {
    states.clear();
    for (uint64_t i = 0; i < kKeys / 100; ++i) states[Key(random() % kKeys)] = Key(random());
    fixture.WriteEpoch(epoch, states);
    fixture.CompactAll(epoch + 1);
    CHECK(fixture.stored_bytes() <= 3 * live);
    CHECK(fixture.runs().size() <= 16);
  }
  CHECK(fixture.Read().size() == kKeys);
  CHECK(fixture.store().bytes_written() <= 7 * fixture.delta_bytes());
}

TEST_CASE("runs of very different sizes are merged too") {
  Fixture fixture;
  States large;
  for (uint64_t i = 0; i < 30000; ++i) large[Key(i)] = "state";
  fixture.WriteEpoch(0, large);
  large.clear();
  for (uint64_t i = 0; i < 400; ++i) large[Key(i)] = "state";
  for (Epoch epoch = 1; epoch < 200; ++epoch) {
    fixture.WriteEpoch(epoch, epoch % 2 == 0 ? large : States{{Key(epoch), "small"}});
    fixture.CompactAll(epoch + 1);
    CHECK(fixture.runs().size() <= 16);
  }
}

}  // namespace
}  // namespace headway::internal
