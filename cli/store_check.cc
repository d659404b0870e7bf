#include "cli/store_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "comm/codec/stable_hash.h"
#include "engine/store/block.h"
#include "engine/store/row.h"

namespace headway::cli {
namespace {

using internal::StateRow;

// The last row before the one that is checked, with its own bytes.
struct LastRow {
  uint64_t hash = 0;
  std::string key;
  std::string part;

  StateRow row() const { return {.hash = hash, .key = key, .part = part}; }
};

// Checks one partition.
class PartitionCheck {
 public:
  PartitionCheck(OpenedPartition& opened, std::vector<std::string>& faults)
      : partition_(*opened.partition), contents_(opened.contents), faults_(faults) {}

  void Run() {
    for (size_t i = 1; i < contents_.generations.size(); ++i) {
      const Generation& generation = contents_.generations[i];
      if (generation.number > contents_.generations[i - 1].number &&
          generation.execution >= contents_.generations[i - 1].execution) {
        continue;
      }
      Fault(absl::StrFormat("generation %d does not follow the one before", generation.number));
    }
    for (size_t i = 0; i < contents_.runs.size(); ++i) {
      const StoredRun& run = contents_.runs[i];
      const bool is_first = i == 0 || contents_.runs[i - 1].step != run.step;
      CheckRun(run, is_first ? nullptr : &contents_.runs[i - 1]);
      CheckBlocks(run);
    }
  }

 private:
  void Fault(const std::string& what) {
    faults_.push_back(absl::StrFormat("%s: %s", partition_.Describe(), what));
  }
  void FaultOf(const StoredRun& run, const std::string& what) {
    faults_.push_back(absl::StrFormat("%s, run %d: %s", partition_.Describe(), run.id, what));
  }

  void CheckRun(const StoredRun& run, const StoredRun* before) {
    const bool is_known =
        std::any_of(contents_.steps.begin(), contents_.steps.end(),
                    [&](const StoredStep& step) { return step.number == run.step; });
    if (!is_known) FaultOf(run, absl::StrFormat("it is of step number %d, unknown", run.step));
    if (run.first_epoch > run.last_epoch) {
      FaultOf(run, absl::StrFormat("its first epoch, %d, is after its last one, %d",
                                   run.first_epoch, run.last_epoch));
    }
    if (run.last_epoch >= contents_.durable_end) {
      FaultOf(run, absl::StrFormat("its last epoch, %d, is not before the end of the durable "
                                   "epochs, %d",
                                   run.last_epoch, contents_.durable_end));
    }
    if (before == nullptr) return;
    if (before->last_epoch >= run.first_epoch) {
      FaultOf(run, absl::StrFormat("its epochs overlap with those of run %d", before->id));
    }
    if (run.is_base) FaultOf(run, "it is a base, and there are earlier runs of its step");
  }

  void CheckBlocks(const StoredRun& run) {
    const absl::StatusOr<std::vector<StoredBlock>> blocks = partition_.ListBlocks(run.id);
    if (!blocks.ok()) return FaultOf(run, std::string(blocks.status().message()));
    last_row_.reset();
    uint64_t row_count = 0;
    uint64_t byte_count = 0;
    bool all_read = true;
    for (size_t i = 0; i < blocks->size(); ++i) {
      absl::StatusOr<std::string> bytes = partition_.ReadBlock(run.id, i);
      const absl::Status status =
          bytes.ok() ? CheckBlock(run, (*blocks)[i], *bytes) : bytes.status();
      if (!status.ok()) {
        FaultOf(run, absl::StrFormat("block %d: %s", i, status.message()));
        all_read = false;
        continue;
      }
      row_count += (*blocks)[i].row_count;
      byte_count += bytes->size();
    }
    if (all_read && (row_count != run.row_count || byte_count != run.byte_count)) {
      FaultOf(run, absl::StrFormat("it has %d rows in %d bytes, and should have %d in %d",
                                   row_count, byte_count, run.row_count, run.byte_count));
    }
  }

  absl::Status CheckBlock(const StoredRun& run, const StoredBlock& block,
                          const std::string& bytes) {
    absl::StatusOr<internal::BlockReader> reader = internal::BlockReader::Open(bytes);
    if (!reader.ok()) return reader.status();
    const auto fault = [](const std::string& what) { return absl::DataLossError(what); };
    uint32_t count = 0;
    uint64_t first_hash = 0;
    StateRow row;
    while (reader->Next(&row)) {
      if (count++ == 0) first_hash = row.hash;
      if (RouteHash(row.hash, contents_.count) != contents_.index) {
        return fault(
            absl::StrFormat("a row with the hash %016x is of another partition", row.hash));
      }
      if (last_row_ && !internal::RowLess(last_row_->row(), row)) {
        return fault("its rows are not in order");
      }
      if (run.is_base && !row.state) return fault("it has a tombstone, and is of a base");
      last_row_ = LastRow{row.hash, std::string(row.key), std::string(row.part)};
    }
    if (count != block.row_count || first_hash != block.first_hash || row.hash != block.last_hash) {
      return fault("its number of rows, or its range of hashes, differs from the table 'blocks'");
    }
    return absl::OkStatus();
  }

  StorePartition& partition_;
  const PartitionContents& contents_;
  std::vector<std::string>& faults_;
  std::optional<LastRow> last_row_;  // of the run
};

}  // namespace

std::vector<std::string> CheckStore(OpenedStore& store) {
  std::vector<std::string> faults;
  for (OpenedPartition& each : store.partitions()) PartitionCheck(each, faults).Run();
  if (absl::Status status = store.Plan().status(); !status.ok()) {
    faults.emplace_back(status.message());
  }
  return faults;
}

}  // namespace headway::cli
