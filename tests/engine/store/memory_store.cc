#include "tests/engine/store/memory_store.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/fencing.h"
#include "engine/store/store.h"
#include "format.h"

namespace headway::internal {

class MemoryPartition : public StorePartition {
 public:
  MemoryPartition(MemoryStore* store, int index, int64_t incarnation, bool has_lock)
      : store_(store), index_(index), incarnation_(incarnation), has_lock_(has_lock) {}
  ~MemoryPartition() override {
    const std::scoped_lock lock(store_->mutex_);
    // A restart has released the locks of the partitions that were open.
    if (has_lock_ && incarnation_ == store_->incarnation_) partition().holder.reset();
  }

  std::string Describe() const override {
    return Format("partition %d of %s", index_, store_->Describe());
  }

  absl::StatusOr<PartitionContents> ReadContents() override {
    return store_->Call(incarnation_, [this]() -> absl::StatusOr<PartitionContents> {
      PartitionContents contents = partition().contents;
      for (const auto& [id, run] : partition().runs) contents.runs.push_back(run.run);
      std::sort(contents.runs.begin(), contents.runs.end(),
                [](const StoredRun& a, const StoredRun& b) {
                  return std::tuple(a.step, a.first_epoch) < std::tuple(b.step, b.first_epoch);
                });
      return contents;
    });
  }

  absl::StatusOr<std::vector<StoredBlock>> ListBlocks(int64_t run) override {
    return store_->Call(incarnation_, [this, run]() -> absl::StatusOr<std::vector<StoredBlock>> {
      const auto found = partition().runs.find(run);
      if (found == partition().runs.end()) return Gone(run);
      std::vector<StoredBlock> blocks = found->second.blocks;
      for (StoredBlock& block : blocks) block.bytes.clear();
      return blocks;
    });
  }

  absl::StatusOr<std::string> ReadBlock(int64_t run, size_t number) override {
    return store_->Call(incarnation_, [this, run, number]() -> absl::StatusOr<std::string> {
      const auto found = partition().runs.find(run);
      if (found == partition().runs.end() || number >= found->second.blocks.size()) {
        return Gone(run);
      }
      return found->second.blocks[number].bytes;
    });
  }

  absl::Status Apply(const PartitionChange& change) override {
    return store_->Call(incarnation_, [this, &change]() -> absl::Status {
      absl::Status status = MemoryStore::Apply(change, partition());
      if (!status.ok()) return status;
      for (const PartitionChange::NewRun& run : change.new_runs) {
        for (const StoredBlock& block : run.blocks) store_->bytes_written_ += block.bytes.size();
      }
      return status;
    });
  }

 private:
  MemoryStore::Partition& partition() { return store_->partitions_[static_cast<size_t>(index_)]; }
  absl::Status Gone(int64_t run) const {
    return absl::NotFoundError(Format("%s has no run %d", Describe(), run));
  }

  MemoryStore* store_;
  int index_;
  int64_t incarnation_;
  bool has_lock_;
};

template <class Action>
auto MemoryStore::Call(int64_t incarnation, Action action) -> decltype(action()) {
  const std::scoped_lock lock(mutex_);
  const int64_t call = calls_++;
  absl::Status crashed = absl::UnavailableError("the recovery store in memory has crashed");
  const bool is_lost = crash_ && call >= crash_->call;
  if (incarnation != incarnation_ || (is_lost && !(call == crash_->call && crash_->after))) {
    return crashed;
  }
  decltype(action()) result = action();
  if (is_lost) return crashed;
  return result;
}

void MemoryStore::CrashAt(int64_t call, bool after) {
  const std::scoped_lock lock(mutex_);
  crash_ = Crash{call, after};
}

void MemoryStore::Restart() {
  const std::scoped_lock lock(mutex_);
  crash_.reset();
  ++incarnation_;
  for (Partition& partition : partitions_) partition.holder.reset();
}

int64_t MemoryStore::calls() const {
  const std::scoped_lock lock(mutex_);
  return calls_;
}

uint64_t MemoryStore::bytes_written() const {
  const std::scoped_lock lock(mutex_);
  return bytes_written_;
}

absl::StatusOr<int> MemoryStore::PartitionCount() {
  return Call(incarnation_,
              [this]() -> absl::StatusOr<int> { return static_cast<int>(partitions_.size()); });
}

absl::Status MemoryStore::Create(int count, std::string_view store_id) {
  return Call(incarnation_, [this, count, store_id]() -> absl::Status {
    if (!partitions_.empty()) {
      return absl::FailedPreconditionError("the recovery store in memory exists already");
    }
    partitions_.resize(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      PartitionContents& contents = partitions_[static_cast<size_t>(i)].contents;
      contents.index = i;
      contents.count = count;
      contents.store_id = store_id;
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::unique_ptr<StorePartition>> MemoryStore::OpenToRead(int index) {
  return Open(index, std::nullopt, false);
}

absl::StatusOr<std::unique_ptr<StorePartition>> MemoryStore::OpenToWrite(int index,
                                                                         std::string_view holder,
                                                                         bool takes_over) {
  return Open(index, holder, takes_over);
}

absl::StatusOr<std::unique_ptr<StorePartition>> MemoryStore::Open(
    int index, std::optional<std::string_view> holder, bool takes_over) {
  return Call(incarnation_, [&]() -> absl::StatusOr<std::unique_ptr<StorePartition>> {
    if (index < 0 || static_cast<size_t>(index) >= partitions_.size()) {
      return absl::NotFoundError(Format("%s has no partition %d", Describe(), index));
    }
    Partition& partition = partitions_[static_cast<size_t>(index)];
    const bool takes_lock = holder && !partition.holder;
    if (holder && partition.holder && !(takes_over && *partition.holder == *holder)) {
      return absl::FailedPreconditionError(
          Format("partition %d of %s is in use by %s", index, Describe(), *partition.holder));
    }
    if (takes_lock) partition.holder = std::string(*holder);
    return std::make_unique<MemoryPartition>(this, index, incarnation_, takes_lock);
  });
}

absl::Status MemoryStore::Apply(const PartitionChange& change, Partition& partition) {
  PartitionContents& contents = partition.contents;
  const std::string name = Format("partition %d of the recovery store in memory", contents.index);
  if (!contents.generations.empty()) {
    absl::Status status =
        CheckGeneration(name, change.generation, contents.generations.back().number);
    if (!status.ok()) return status;
  }
  if (change.begins) {
    const Epoch resume_epoch = change.begins->resume_epoch;
    const auto spanning = std::ranges::count_if(partition.runs, [&](const auto& run) {
      return run.second.run.first_epoch < resume_epoch && run.second.run.last_epoch >= resume_epoch;
    });
    absl::Status status = CheckNoneSpans(name, resume_epoch, static_cast<uint64_t>(spanning));
    if (!status.ok()) return status;
    std::erase_if(partition.runs, [&](const auto& run) {
      return run.second.run.last_epoch >= change.begins->resume_epoch;
    });
    std::erase_if(contents.generations, [&](const Generation& generation) {
      return generation.number == change.begins->number;
    });
    contents.generations.push_back(*change.begins);
  }
  for (const StoredStep& step : change.new_steps) {
    std::erase_if(contents.steps, [&](const StoredStep& old) { return old.number == step.number; });
    contents.steps.push_back(step);
  }
  for (const StoredStep& renamed : change.renamed_steps) {
    for (StoredStep& step : contents.steps) {
      if (step.number == renamed.number) step.id = renamed.id;
    }
  }
  for (const int64_t run : change.removed_runs) partition.runs.erase(run);
  for (const uint32_t step : change.removed_steps) {
    std::erase_if(contents.steps, [&](const StoredStep& old) { return old.number == step; });
    std::erase_if(partition.runs, [&](const auto& run) { return run.second.run.step == step; });
  }
  for (const PartitionChange::NewRun& added : change.new_runs) {
    std::erase_if(partition.runs, [&](const auto& run) {
      const StoredRun& old = run.second.run;
      return old.step == added.run.step && old.first_epoch == added.run.first_epoch &&
             old.last_epoch == added.run.last_epoch;
    });
    const int64_t id = partition.next_run++;
    Run& run = partition.runs[id];
    run = {added.run, added.blocks};
    run.run.id = id;
  }
  for (const uint64_t number : change.removed_generations) {
    std::erase_if(contents.generations,
                  [&](const Generation& generation) { return generation.number == number; });
  }
  if (change.durable_end) contents.durable_end = *change.durable_end;
  if (change.committed_end) contents.committed_end = *change.committed_end;
  return absl::OkStatus();
}

}  // namespace headway::internal
