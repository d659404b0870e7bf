#ifndef HEADWAY_ENGINE_GRAPH_CHANNEL_ACCOUNT_H_
#define HEADWAY_ENGINE_GRAPH_CHANNEL_ACCOUNT_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "comm/local/flow_control.h"
#include "engine/runtime/worker_context.h"

namespace headway::internal {

// The bytes in flight of one channel, as one worker counts them. Two counters bound them, and every
// change goes to both: the pool that all channels of the process share, and the channel's exclusive
// credit, which a sender may use while the pool is full.
//
// Belongs to the worker's thread.
class ChannelAccount {
 public:
  ChannelAccount(WorkerContext& worker, std::shared_ptr<ChannelCredits> credits)
      : worker_(worker), credits_(std::move(credits)) {}

  // This worker has sent a batch.
  void AddSent(int64_t bytes) {
    worker_.TakeFromPool(bytes);
    credits_->AddSent(worker_.local_index(), bytes);
  }
  // This worker has taken a batch that worker `local_sender` of this process sent.
  void AddTaken(int local_sender, int64_t bytes) {
    credits_->AddTaken(worker_.local_index(), local_sender, bytes);
    worker_.ReturnToPool(bytes);
  }
  // Another process has taken bytes that this worker sent. They count as taken by this worker,
  // since only its own thread may write its counters.
  void AddReturned(int64_t bytes) { AddTaken(worker_.local_index(), bytes); }

  // Returns true if this worker may send another batch although the pool is full.
  bool HasExclusiveCredit() const { return credits_->HasRoom(worker_.local_index()); }

  const ChannelCredits& credits() const { return *credits_; }

 private:
  WorkerContext& worker_;
  const std::shared_ptr<ChannelCredits> credits_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_CHANNEL_ACCOUNT_H_
