#ifndef HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_
#define HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "comm/local/flow_control.h"

namespace headway::internal {

// Gives the workers of a process the byte credits that they share for each channel. The credits of
// a dataflow stay here until every worker has removed it: a worker that has removed the dataflow
// drops the batches that still arrive, and their senders may wait for that credit.
//
// Thread safe.
class ChannelCreditTable {
 public:
  explicit ChannelCreditTable(int worker_count) : worker_count_(worker_count) {}

  // Returns the credits of a channel. The first request makes them.
  std::shared_ptr<ChannelCredits> Of(uint32_t dataflow, uint32_t channel);
  // Counts bytes that `sender` has sent on a channel as taken by `receiver`, which has no such
  // channel and drops them. Called on the thread of `receiver`.
  void AddDropped(uint32_t dataflow, uint32_t channel, int receiver, int sender, int64_t bytes);
  // A worker has removed the dataflow. Each worker says so at most once for each dataflow.
  void Remove(uint32_t dataflow);

 private:
  struct Entry {
    std::vector<std::shared_ptr<ChannelCredits>> channels;  // by number; null: not asked for yet
    int removed_count = 0;
  };

  const int worker_count_;
  std::mutex mutex_;
  std::map<uint32_t, Entry> entries_;  // by dataflow; guarded by mutex_
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_
