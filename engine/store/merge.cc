#include "engine/store/merge.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "engine/store/store.h"
#include "format.h"

namespace headway::internal {
namespace {

// Merged rows on their way to the caller. They are views of the blocks of cursors.
class RowBatch {
 public:
  explicit RowBatch(absl::FunctionRef<absl::Status(std::span<const StateRow>)> emit) : emit_(emit) {
    rows_.reserve(kRowsMax);
  }

  absl::Status Add(const StateRow& row) {
    rows_.push_back(row);
    return rows_.size() < kRowsMax ? absl::OkStatus() : Flush();
  }
  absl::Status Flush() {
    if (rows_.empty()) return absl::OkStatus();
    absl::Status status = emit_(rows_);
    rows_.clear();
    return status;
  }

 private:
  static constexpr size_t kRowsMax = 256;

  absl::FunctionRef<absl::Status(std::span<const StateRow>)> emit_;
  std::vector<StateRow> rows_;
};

// The rows of one run in a range of the hash. It flushes `batch` before it drops a block, and at
// its end.
class RunCursor {
 public:
  RunCursor(StorePartition& partition, const StoredRun& run, uint64_t first_hash,
            uint64_t last_hash, RowBatch& batch)
      : batch_(&batch),
        partition_(&partition),
        run_(run.id),
        row_count_(run.row_count),
        first_hash_(first_hash),
        last_hash_(last_hash) {}

  absl::Status Open() {
    absl::StatusOr<std::vector<StoredBlock>> blocks = partition_->ListBlocks(run_);
    if (!blocks.ok()) return blocks.status();
    blocks_ = *std::move(blocks);
    uint64_t row_count = 0;
    for (const StoredBlock& block : blocks_) row_count += block.row_count;
    if (row_count != row_count_) {
      return absl::DataLossError(Format("%s, run %d: blocks are missing, %d of %d rows are there",
                                        partition_->Describe(), run_, row_count, row_count_));
    }
    return Advance();
  }

  // The next row; nullptr at the end. Valid until Advance.
  const StateRow* row() const { return at_end_ ? nullptr : &row_; }

  absl::Status Advance() {
    do {
      while (!reader_ || !reader_->Next(&row_)) {
        absl::Status status = OpenNextBlock();
        if (!status.ok() || at_end_) return status;
      }
    } while (row_.hash < first_hash_);
    at_end_ = row_.hash > last_hash_;
    return at_end_ ? batch_->Flush() : absl::OkStatus();
  }

 private:
  // Leaves blocks outside of the range unread.
  absl::Status OpenNextBlock() {
    absl::Status status = batch_->Flush();
    if (!status.ok()) return status;
    while (next_block_ < blocks_.size() && blocks_[next_block_].last_hash < first_hash_) {
      ++next_block_;
    }
    if (next_block_ == blocks_.size() || blocks_[next_block_].first_hash > last_hash_) {
      at_end_ = true;
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> bytes = partition_->ReadBlock(run_, next_block_);
    if (!bytes.ok()) return bytes.status();
    absl::StatusOr<BlockReader> reader = BlockReader::Open(*bytes);
    if (!reader.ok()) {
      return absl::Status(reader.status().code(),
                          Format("%s, run %d, block %d: %s", partition_->Describe(), run_,
                                 next_block_, reader.status().message()));
    }
    reader_ = *std::move(reader);
    ++next_block_;
    return absl::OkStatus();
  }

  RowBatch* batch_;
  StorePartition* partition_;
  int64_t run_;
  uint64_t row_count_;
  uint64_t first_hash_;
  uint64_t last_hash_;
  std::vector<StoredBlock> blocks_;
  size_t next_block_ = 0;
  std::optional<BlockReader> reader_;
  StateRow row_;
  bool at_end_ = false;
};

// The runs of a merge. A scan of few of them finds the least row faster than a heap.
class Merge {
 public:
  Merge(bool keep_tombstones, RowBatch& batch) : keep_tombstones_(keep_tombstones), batch_(batch) {}

  // Runs are added in the order of their epochs.
  absl::Status Add(RunCursor cursor) {
    absl::Status status = cursor.Open();
    if (status.ok() && cursor.row() != nullptr) cursors_.push_back(std::move(cursor));
    return status;
  }

  absl::Status Run() {
    absl::Status status;
    if (cursors_.size() > kFew) return EmitByHeap();
    while (status.ok() && !cursors_.empty()) {
      status = cursors_.size() == 1 ? EmitAll(0) : EmitLeast();
    }
    return status;
  }

 private:
  static constexpr size_t kFew = 16;

  absl::Status Emit(const StateRow& row) {
    return row.state || keep_tombstones_ ? batch_.Add(row) : absl::OkStatus();
  }

  // With a long backup interval there may be thousands of runs.
  absl::Status EmitByHeap() {
    // Of equal rows the latest is on top.
    const auto is_later = [this](size_t a, size_t b) {
      if (RowLess(*cursors_[a].row(), *cursors_[b].row())) return false;
      return RowLess(*cursors_[b].row(), *cursors_[a].row()) || a < b;
    };
    std::vector<size_t> heap(cursors_.size());
    std::iota(heap.begin(), heap.end(), size_t{0});
    std::ranges::make_heap(heap, is_later);
    const auto take = [&] {
      std::ranges::pop_heap(heap, is_later);
      const size_t top = heap.back();
      heap.pop_back();
      return top;
    };
    const auto advance = [&](size_t index) {
      absl::Status status = cursors_[index].Advance();
      if (status.ok() && cursors_[index].row() != nullptr) {
        heap.push_back(index);
        std::ranges::push_heap(heap, is_later);
      }
      return status;
    };
    while (!heap.empty()) {
      const size_t latest = take();
      const StateRow& row = *cursors_[latest].row();
      absl::Status status = Emit(row);
      while (status.ok() && !heap.empty() && !RowLess(row, *cursors_[heap.front()].row())) {
        status = advance(take());
      }
      if (status.ok()) status = advance(latest);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // Emits the rest of the only run.
  absl::Status EmitAll(size_t index) {
    RunCursor& cursor = cursors_[index];
    absl::Status status;
    while (status.ok() && cursor.row() != nullptr) {
      status = Emit(*cursor.row());
      if (status.ok()) status = cursor.Advance();
    }
    if (status.ok()) cursors_.clear();
    return status;
  }

  // Emits the least rows of all runs, as long as they are in one run.
  absl::Status EmitLeast() {
    size_t least = 0;
    uint64_t next_hash = std::numeric_limits<uint64_t>::max();  // the least one of the other runs
    bool same_hash = false;
    for (size_t i = 1; i < cursors_.size(); ++i) {
      const uint64_t hash = cursors_[i].row()->hash;
      const uint64_t least_hash = cursors_[least].row()->hash;
      if (hash < least_hash) {
        least = i;
        next_hash = least_hash;
        same_hash = false;
      } else {
        same_hash = same_hash || hash == least_hash;
        next_hash = std::min(next_hash, hash);
      }
    }
    if (same_hash) return EmitLatest();
    RunCursor& cursor = cursors_[least];
    absl::Status status;
    do {
      status = Emit(*cursor.row());
      if (status.ok()) status = cursor.Advance();
    } while (status.ok() && cursor.row() != nullptr && cursor.row()->hash < next_hash);
    if (status.ok() && cursor.row() == nullptr) Remove(least);
    return status;
  }

  // Emits the least row. Several runs may have it; the latest one counts.
  absl::Status EmitLatest() {
    size_t least = 0;
    for (size_t i = 1; i < cursors_.size(); ++i) {
      if (!RowLess(*cursors_[least].row(), *cursors_[i].row())) least = i;
    }
    const StateRow& row = *cursors_[least].row();
    absl::Status status = Emit(row);
    for (size_t i = 0; i <= least && status.ok(); ++i) {
      if (i == least || !RowLess(row, *cursors_[i].row())) status = cursors_[i].Advance();
    }
    for (size_t i = least + 1; status.ok() && i > 0; --i) {
      if (cursors_[i - 1].row() == nullptr) Remove(i - 1);
    }
    return status;
  }

  void Remove(size_t index) { cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(index)); }

  bool keep_tombstones_;
  RowBatch& batch_;
  std::vector<RunCursor> cursors_;  // none is at its end
};

// The group of runs to merge next, of the runs of a step that may be merged; empty if there is
// none.
std::span<const StoredRun> NextGroup(std::span<const StoredRun> runs) {
  if (runs.empty()) return {};
  // The oldest run has the state of all keys: it is the base, or becomes it.
  const StoredRun& base = runs.front();
  const std::span<const StoredRun> changes = runs.subspan(1);
  uint64_t change_rows = 0;
  uint64_t change_bytes = 0;
  for (const StoredRun& run : changes) {
    change_rows += run.row_count;
    change_bytes += run.byte_count;
  }
  // Rows count too: the tombstones of all keys of a base are as many as its rows, but smaller.
  if (!base.is_base ||
      (!changes.empty() && (change_rows >= base.row_count || change_bytes >= base.byte_count))) {
    return runs;
  }
  // Neighbours of similar size, from the latest one backward. The group ends at a run that is much
  // larger than the others, so that it is not written again and again together with small ones.
  constexpr size_t kGroup = 4;
  constexpr uint64_t kSimilar = 2;
  for (size_t end = changes.size(); end >= kGroup; --end) {
    uint64_t largest = changes[end - 1].byte_count;
    size_t begin = end - 1;
    while (begin > 0 && changes[begin - 1].byte_count <= kSimilar * largest) {
      --begin;
      largest = std::max(largest, changes[begin].byte_count);
    }
    if (end - begin >= kGroup) return changes.subspan(begin, end - begin);
  }
  return {};
}

}  // namespace

absl::Status MergeRunsInBatches(StorePartition& partition, const std::vector<StoredRun>& runs,
                                uint64_t first_hash, uint64_t last_hash, bool keep_tombstones,
                                absl::FunctionRef<absl::Status(std::span<const StateRow>)> rows) {
  RowBatch batch(rows);
  Merge merge(keep_tombstones, batch);
  for (const StoredRun& run : runs) {
    absl::Status status = merge.Add(RunCursor(partition, run, first_hash, last_hash, batch));
    if (!status.ok()) return status;
  }
  return merge.Run();
}

absl::Status MergeRuns(StorePartition& partition, const std::vector<StoredRun>& runs,
                       uint64_t first_hash, uint64_t last_hash, bool keep_tombstones,
                       absl::FunctionRef<absl::Status(const StateRow&)> row) {
  return MergeRunsInBatches(partition, runs, first_hash, last_hash, keep_tombstones,
                            [&row](std::span<const StateRow> rows) {
                              absl::Status status;
                              for (size_t i = 0; i < rows.size() && status.ok(); ++i) {
                                status = row(rows[i]);
                              }
                              return status;
                            });
}

absl::StatusOr<PartitionChange> Compact(StorePartition& partition,
                                        const PartitionContents& contents, Epoch end) {
  PartitionChange change;
  if (!contents.generations.empty()) change.generation = contents.generations.back().number;
  const std::span<const StoredRun> runs = contents.runs;
  std::span<const StoredRun> group;
  for (size_t begin = 0; begin < runs.size() && group.empty();) {
    size_t step_end = begin;
    size_t merged_end = begin;
    for (; step_end < runs.size() && runs[step_end].step == runs[begin].step; ++step_end) {
      if (merged_end == step_end && runs[step_end].last_epoch < end) ++merged_end;
    }
    group = NextGroup(runs.subspan(begin, merged_end - begin));
    begin = step_end;
  }
  if (group.empty()) return change;

  PartitionChange::NewRun merged;
  merged.run.step = group.front().step;
  merged.run.first_epoch = group.front().first_epoch;
  merged.run.last_epoch = group.back().last_epoch;
  // Nothing of the step is older than its first run, so its tombstones hide nothing.
  merged.run.is_base = group.data() == runs.data() || group.data()[-1].step != merged.run.step;
  for (const StoredRun& run : group) {
    change.removed_runs.push_back(run.id);
    merged.run.written_at_ms = std::max(merged.run.written_at_ms, run.written_at_ms);
  }
  BlockWriter writer;
  absl::Status status =
      MergeRuns(partition, {group.begin(), group.end()}, 0, std::numeric_limits<uint64_t>::max(),
                !merged.run.is_base, [&writer](const StateRow& row) {
                  writer.Add(row);
                  return absl::OkStatus();
                });
  if (!status.ok()) return status;
  merged.blocks = writer.Finish();
  for (const StoredBlock& block : merged.blocks) {
    merged.run.row_count += block.row_count;
    merged.run.byte_count += block.bytes.size();
  }
  // A base without rows stays: it says that the state of earlier epochs cannot be read any more.
  if (merged.run.is_base || !merged.blocks.empty()) change.new_runs.push_back(std::move(merged));
  return change;
}

}  // namespace headway::internal
