#ifndef HEADWAY_ENGINE_STEP_PARTITION_CLOCKS_H_
#define HEADWAY_ENGINE_STEP_PARTITION_CLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/graph/watermark.h"
#include "engine/step/alarm.h"

namespace headway::internal {

// How a watermark follows from the event times of records.
struct WatermarkRule {
  // How much earlier than the latest record of its partition a record may be.
  EventTime disorder = 0;
  // A partition that has had no record for so long holds the others back no more.
  int64_t idle_nanos = Alarm::kNever;
};

// Derives the watermark of one output port of a source: the least of its partitions. That of a
// partition is the latest event time of its records, less the disorder. A partition that has had no
// record yet, or is not open yet, holds the watermark back until it is idle. Belongs to the
// worker's thread.
class PartitionClocks {
 public:
  PartitionClocks(Graph& graph, OutputPortBase& port, WatermarkRule rule);

  // The latest event time of the partition whose records are being pushed; the caller raises it.
  EventTime& LatestOfCurrent();

  // The source has told `told` of the port. Returns the watermark of the stream to pass on, or
  // nullopt if there is nothing new.
  std::optional<Watermark> Derive(const Watermark& told);

 private:
  struct Partition {
    EventTime latest = kNoWatermark;
    EventTime watermark = kNoWatermark;  // in least_first_, if it is not idle
    bool idle = false;
    bool has_news = false;
  };

  const ReadPartitions& read() const;
  void FollowPartitions();
  void Advance(uint32_t number);
  EventTime FindIdle(int64_t now);

  // Watermarks are passed on at most so often while the source says that more follow at once.
  static constexpr int64_t kIntervalNanos = 1'000'000;

  Graph& graph_;
  OutputPortBase& port_;
  const WatermarkRule rule_;
  Alarm alarm_;
  std::unordered_map<uint32_t, Partition> partitions_;
  std::set<std::pair<EventTime, uint32_t>> least_first_;  // those that are not idle
  uint32_t opened_seen_ = 0;                              // of ReadPartitions
  size_t closed_seen_ = 0;
  std::vector<uint32_t> news_;  // partitions that had records
  ReadPartitions fed_by_hand_;  // of an input without partitions: it is one
  Watermark passed_;
  int64_t passed_at_nanos_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_PARTITION_CLOCKS_H_
