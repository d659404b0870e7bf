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

void SourcePartitions::Assign(const std::vector<std::string>& names) {
  assigned_ = true;
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
    unopened_.pop_front();
  }
  return absl::OkStatus();
}

SourcePartitions::Partition* SourcePartitions::NextReady(absl::FunctionRef<int64_t()> now) {
  int64_t present = 0;
  for (size_t i = 0; i < open_.size(); ++i) {
    if (turn_ >= open_.size()) turn_ = 0;
    Partition& partition = *open_[turn_++];
    if (partition.poll_at_nanos != 0) {
      if (present == 0) present = now();
      if (partition.poll_at_nanos > present) continue;
    }
    return &partition;
  }
  return nullptr;
}

int64_t SourcePartitions::FirstPoll() const {
  int64_t first = Alarm::kNever;
  for (const std::unique_ptr<Partition>& partition : open_) {
    first = std::min(first, partition->poll_at_nanos);
  }
  return first;
}

void SourcePartitions::WakeAll() {
  for (const std::unique_ptr<Partition>& partition : open_) partition->poll_at_nanos = 0;
}

void SourcePartitions::Close(Partition& partition) {
  if (tracking_) {
    std::optional<std::string> position = partition.reader->Position();
    if (position.has_value() && position != partition.at.position) {
      changes_.push_back({.name = partition.at.name, .position = std::move(position)});
    }
  }
  const auto closed = std::ranges::find_if(
      open_, [&](const std::unique_ptr<Partition>& open) { return open.get() == &partition; });
  // The partition that follows is the next to have its turn.
  if (turn_ > static_cast<size_t>(closed - open_.begin())) --turn_;
  open_.erase(closed);
}

}  // namespace headway::internal
