#include "engine/step/source_partitions.h"

#include <algorithm>
#include <utility>

#include "comm/codec/stable_hash.h"
#include "engine/step/alarm.h"

namespace headway::internal {
namespace {

void Write(absl::FunctionRef<void(const StateEntry&)> write, const PartitionPosition& position) {
  position.WriteTo(write, StableHash(position.name));
}

bool IsPolledLater(const SourcePartitions::Partition* a, const SourcePartitions::Partition* b) {
  return a->poll_at_nanos > b->poll_at_nanos;
}

}  // namespace

void SourcePartitions::Snapshot(absl::FunctionRef<void(const StateEntry&)> write) {
  for (const PartitionPosition& change : changes_) Write(write, change);
  changes_.clear();
  for (const std::unique_ptr<Partition>& partition : open_) {
    if (!std::exchange(partition->polled, false)) continue;
    std::optional<std::string> position = partition->reader->Position();
    if (!position.has_value() || position == partition->at.position) continue;
    partition->at.position = std::move(position);
    Write(write, partition->at);
  }
}

void SourcePartitions::Restore(const StateEntry& entry) {
  PartitionPosition restored = PartitionPosition::Of(entry);
  if (restored.position.has_value()) {
    restored_[std::move(restored.name)] = *std::move(restored.position);
  } else {
    restored_.erase(restored.name);
  }
}

void SourcePartitions::Forget(const std::string& name) {
  changes_.push_back({.name = name, .position = std::nullopt});
}

void SourcePartitions::Assign(const std::vector<std::string>& names, bool is_last) {
  assigned_ = true;
  all_assigned_ = is_last;
  for (const std::string& name : names) {
    unopened_.push_back({.name = name, .position = std::nullopt});
    const auto found = restored_.find(name);
    if (found != restored_.end()) unopened_.back().position = std::move(found->second);
  }
  Positions().swap(restored_);
}

absl::Status SourcePartitions::OpenNext(size_t max_open, OpenReader open) {
  while (open_.size() < max_open && !unopened_.empty()) {
    const PartitionPosition& at = unopened_.front();
    absl::StatusOr<std::unique_ptr<PartitionReader>> reader = open(at.name, at.position);
    if (!reader.ok()) return reader.status();
    open_.push_back(std::make_unique<Partition>());
    open_.back()->at = std::move(unopened_.front());
    open_.back()->reader = *std::move(reader);
    // The first snapshot has a position of every reader, also of one that was never polled.
    open_.back()->polled = !open_.back()->at.position.has_value();
    open_.back()->index = open_.size() - 1;
    ready_.push_back(open_.back().get());
    open_.back()->number = read_.opened++;
    if (read_.is_used) read_.empty_since.push_back(0);
    unopened_.pop_front();
  }
  read_.all_open = assigned_ && unopened_.empty();
  return absl::OkStatus();
}

SourcePartitions::Partition* SourcePartitions::TakeNext(absl::FunctionRef<int64_t()> now) {
  if (!idle_.empty()) {
    for (const int64_t present = now(); !idle_.empty() && FirstPoll() <= present;) {
      std::ranges::pop_heap(idle_, IsPolledLater);
      ready_.push_back(idle_.back());
      idle_.pop_back();
    }
  }
  if (ready_.empty()) return nullptr;
  Partition* const next = ready_.front();
  ready_.pop_front();
  return next;
}

void SourcePartitions::Rest(Partition& partition, int64_t poll_at_nanos) {
  partition.poll_at_nanos = poll_at_nanos;
  idle_.push_back(&partition);
  std::ranges::push_heap(idle_, IsPolledLater);
}

void SourcePartitions::BeginPoll(Partition& partition) {
  partition.polled = true;
  partition.poll_at_nanos = 0;
  read_.current = partition.number;
}

void SourcePartitions::NotePoll(const Partition& partition, bool had_records, bool is_empty,
                                int64_t now) {
  if (!read_.is_used) return;
  int64_t& since = read_.empty_since[partition.number];
  if (had_records) since = 0;
  if (is_empty && since == 0) since = now;
}

int64_t SourcePartitions::FirstPoll() const {
  return idle_.empty() ? Alarm::kNever : idle_.front()->poll_at_nanos;
}

void SourcePartitions::WakeAll() {
  ready_.insert(ready_.end(), idle_.begin(), idle_.end());
  idle_.clear();
}

void SourcePartitions::Close(Partition& partition) {
  if (tracking_) {
    std::optional<std::string> position = partition.reader->Position();
    if (position.has_value() && position != partition.at.position) {
      changes_.push_back({.name = partition.at.name, .position = std::move(position)});
    }
  }
  if (read_.is_used) read_.closed.push_back(partition.number);
  const size_t index = partition.index;
  open_[index] = std::move(open_.back());
  open_[index]->index = index;
  open_.pop_back();
}

void SourcePartitions::CloseAll() {
  ready_.clear();
  idle_.clear();
  open_.clear();
}

}  // namespace headway::internal
