#ifndef HEADWAY_ENGINE_NETWORK_DATAFLOW_TABLE_H_
#define HEADWAY_ENGINE_NETWORK_DATAFLOW_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/system/topology.h"
#include "progress/process_sum.h"

namespace headway::internal {

// A run of several processes builds fewer dataflows. A frame with a larger number is malformed.
inline constexpr uint32_t kMaxDataflows = 1 << 20;

// The network's state of one dataflow.
struct DataflowProgress {
  std::optional<ProcessSum> outgoing;  // none until it is built here
  bool has_news = false;               // its outgoing rounds wait in OutgoingProgress
  std::vector<std::byte> delayed;      // incoming rounds that a worker has no room for
  size_t delayed_sum_bytes = 0;        // size of `delayed` after it was summed last
  size_t delayed_unbuilt_bytes = 0;    // added to `delayed` before it was built here
  int removals = 0;                    // by workers of this process
};

// The dataflows of a run, by number, from the first news of one until every worker has removed it.
//
// Thread safety: none; the holder of the pump's lock uses it.
class DataflowTable {
 public:
  explicit DataflowTable(const Topology& topology) : topology_(topology) {}

  // A worker of this process has built it. REQUIRES: once for each number.
  void Build(uint32_t id, const ProgressLayout& layout);
  // A worker of this process has removed it.
  void Remove(uint32_t id);
  // Forgets the dataflows that all workers have removed, except those that still have progress to
  // send or to deliver. REQUIRES: the rounds that the workers published before were received.
  void ForgetRemoved();

  bool IsBuilt(uint32_t id) const {
    return id < dataflows_.size() && dataflows_[id] != nullptr &&
           dataflows_[id]->outgoing.has_value();
  }
  // The number of locations of the dataflows that are built and not forgotten. Each channel has one
  // of its own.
  size_t location_count() const { return location_count_; }
  bool IsForgotten(uint32_t id) const { return id < is_forgotten_.size() && is_forgotten_[id]; }

  // REQUIRES: it is in the table.
  DataflowProgress& At(uint32_t id) { return *dataflows_[id]; }
  // The same; adds the dataflow if the table does not have it.
  DataflowProgress& AtOrNew(uint32_t id);

 private:
  const Topology& topology_;
  std::vector<std::unique_ptr<DataflowProgress>> dataflows_;  // null: nothing is known of it
  std::vector<uint32_t> removed_;                             // by all workers, and not forgotten
  std::vector<bool> is_forgotten_;
  size_t location_count_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_DATAFLOW_TABLE_H_
