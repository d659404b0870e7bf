#include "engine/runtime/channel_credit_table.h"

namespace headway::internal {

std::shared_ptr<ChannelCredits> ChannelCreditTable::Of(uint32_t dataflow, uint32_t channel) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[{dataflow, channel}];
  if (entry.credits == nullptr) entry.credits = std::make_shared<ChannelCredits>(worker_count_);
  std::shared_ptr<ChannelCredits> credits = entry.credits;
  if (++entry.given_count == worker_count_) entries_.erase({dataflow, channel});
  return credits;
}

}  // namespace headway::internal
