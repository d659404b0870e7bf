#ifndef HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_
#define HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "comm/local/flow_control.h"

namespace headway::internal {

// Gives the workers of a process the byte credits that they share for each channel.
//
// Thread safe.
class ChannelCreditTable {
 public:
  explicit ChannelCreditTable(int worker_count) : worker_count_(worker_count) {}

  // Returns the credits of a channel. Each worker asks once; the first request makes them.
  std::shared_ptr<ChannelCredits> Of(uint32_t dataflow, uint32_t channel);

 private:
  struct Entry {
    std::shared_ptr<ChannelCredits> credits;
    int given_count = 0;
  };

  const int worker_count_;
  std::mutex mutex_;
  // Guarded by mutex_; until every worker has its own reference.
  std::map<std::pair<uint32_t, uint32_t>, Entry> entries_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_CHANNEL_CREDIT_TABLE_H_
