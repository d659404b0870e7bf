#include "engine/runtime/channel_credit_table.h"

namespace headway::internal {

std::shared_ptr<ChannelCredits> ChannelCreditTable::Of(uint32_t dataflow, uint32_t channel) {
  std::lock_guard lock(mutex_);
  auto& channels = entries_[dataflow].channels;
  if (channels.size() <= channel) channels.resize(channel + 1);
  std::shared_ptr<ChannelCredits>& credits = channels[channel];
  if (credits == nullptr) credits = std::make_shared<ChannelCredits>(worker_count_);
  return credits;
}

void ChannelCreditTable::AddDropped(uint32_t dataflow, uint32_t channel, int receiver, int sender,
                                    int64_t bytes) {
  std::lock_guard lock(mutex_);
  const auto entry = entries_.find(dataflow);
  if (entry == entries_.end()) return;  // the sender has removed it, too
  const auto& channels = entry->second.channels;
  if (channel >= channels.size() || channels[channel] == nullptr) return;
  channels[channel]->AddTaken(receiver, sender, bytes);
}

void ChannelCreditTable::Remove(uint32_t dataflow) {
  std::lock_guard lock(mutex_);
  const auto entry = entries_.find(dataflow);
  if (entry == entries_.end()) return;  // it has no channels
  if (++entry->second.removed_count == worker_count_) entries_.erase(entry);
}

}  // namespace headway::internal
