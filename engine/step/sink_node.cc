#include "engine/step/sink_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/codec/stable_hash.h"

namespace headway::internal {

void SinkNodeBase::Snapshot(absl::FunctionRef<void(const StateEntry&)> write) {
  for (SinkPartition* partition : changed_) {
    std::string position = partition->Position();
    if (position == partition->at_.position) continue;
    partition->at_.position = std::move(position);
    // The hash of the exchange: a resumed run restores the position where the records go. 0 belongs
    // to worker 0, however many there are.
    const bool one = form_ == SinkForm::kOnePartition;
    partition->at_.WriteTo(write, one ? 0 : StableHash(partition->at_.name));
  }
  changed_.clear();
}

absl::Status SinkNodeBase::Restore(const StateEntry& entry) {
  PartitionPosition restored = PartitionPosition::Of(entry);
  if (form_ == SinkForm::kByWorker ||
      (form_ == SinkForm::kOnePartition && restored.name != kOnlyPartition)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a snapshot has state for this step, which is a sink ",
        form_ == SinkForm::kByWorker ? "and has none" : "of one partition, and has several",
        "; resume with the program that took the snapshot"));
  }
  if (restored.position.has_value()) {
    restored_[std::move(restored.name)] = *std::move(restored.position);
  } else {
    restored_.erase(restored.name);
  }
  return absl::OkStatus();
}

std::optional<std::string> SinkNodeBase::TakeRestored(const std::string& name) {
  auto taken = restored_.extract(name);
  return taken.empty() ? std::nullopt : std::optional(std::move(taken.mapped()));
}

SinkPartition* SinkNodeBase::Find(std::string_view name) const {
  const auto found = partitions_.find(name);
  return found == partitions_.end() ? nullptr : found->second.get();
}

SinkPartition* SinkNodeBase::Add(const std::string& name,
                                 const std::optional<std::string>& position,
                                 std::unique_ptr<SinkPartition> partition) {
  partition->at_ = {.name = name, .position = position};
  return partitions_.emplace(name, std::move(partition)).first->second.get();
}

bool SinkNodeBase::MustWait() {
  if (ask_at_nanos_ == 0 || std::exchange(node_.woken, false)) return false;
  const int64_t now = graph_.worker().NowNanos();
  if (now >= ask_at_nanos_) return false;
  alarm_.Set(now, ask_at_nanos_);
  return true;
}

bool SinkNodeBase::Close(Epoch epoch) {
  if (!unflushed_.empty() && !Flush()) return false;
  TellClosed(epoch);
  return true;
}

// Returns true if all flushes are done. Pending ones run at the same time.
bool SinkNodeBase::Flush() {
  ask_at_nanos_ = 0;
  absl::Duration wait = absl::InfiniteDuration();
  std::erase_if(unflushed_, [&](SinkPartition* partition) {
    const absl::StatusOr<FlushState> state = partition->Flush();
    Check(state.status());
    if (!state->done) {
      wait = std::min(wait, state->wait);
      return false;
    }
    partition->unflushed_ = false;
    if (tracking_) changed_.push_back(partition);
    return true;
  });
  if (unflushed_.empty()) return true;
  node_.may_be_woken = true;
  const int64_t now = graph_.worker().NowNanos();
  ask_at_nanos_ = Alarm::Later(now, absl::ToInt64Nanoseconds(wait));
  alarm_.Set(now, ask_at_nanos_);
  return false;
}

}  // namespace headway::internal
