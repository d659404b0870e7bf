#ifndef HEADWAY_ENGINE_GRAPH_WATERMARK_H_
#define HEADWAY_ENGINE_GRAPH_WATERMARK_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

// Event time, and how watermarks pass through a dataflow. See "Event time" in docs/design.md.

namespace headway {

// A time in a record: nanoseconds since 1970, or a number of the application's own.
using EventTime = int64_t;

// The watermark of a stream of which nothing is known. No record is behind it.
inline constexpr EventTime kNoWatermark = std::numeric_limits<EventTime>::min();

// The limit of the watermark of a step that keeps no records.
inline constexpr EventTime kNoWatermarkLimit = std::numeric_limits<EventTime>::max();

namespace internal {

class OutputPortBase;

// The partitions of a source that a worker reads, as the steps behind the source see them.
struct ReadPartitions {
  // Steps derive watermarks. Otherwise the vectors stay empty.
  bool is_used = false;
  uint32_t current = 0;          // the partition whose records are being pushed
  uint32_t opened = 0;           // they have the numbers from 0 on
  std::vector<uint32_t> closed;  // the numbers of those that ended, in that order
  // By number: the time since which a partition has had no record when it was asked; 0: it has
  // some.
  std::vector<int64_t> empty_since;
  bool all_open = false;  // no further partition is waiting to be opened
};

// The word of an output port on the records that follow. It passes through the transforms and
// channels of the port behind the records that it speaks of. Between workers it travels as a block
// without records; it keeps its time open, as a batch does.
struct Watermark {
  const OutputPortBase* port = nullptr;
  // No earlier record is expected.
  EventTime time = kNoWatermark;
  // False: no record is expected at all for now, so the port holds no other one back.
  bool active = true;
  // The port says more at once: whoever limits the rate of watermarks may skip this one.
  bool more_follows = false;
  // Of a source; else null.
  const ReadPartitions* partitions = nullptr;
};

// A watermark in the payload of a block without records.
struct WatermarkPayload {
  EventTime time;
  uint32_t port;  // its number among the ports of the channel
  uint32_t active;
};
inline constexpr size_t kWatermarkBytes = sizeof(WatermarkPayload);

// A watermark that has arrived at an input.
struct ArrivedWatermark {
  size_t sender;  // of SenderWatermarks
  EventTime time;
  bool active;
};

// The watermark of one input: the least of all senders that are active, or the greatest of all if
// none is. A sender is a port on a worker. The watermark never falls.
class SenderWatermarks {
 public:
  void SetSenderCount(size_t count) { senders_.resize(count); }
  size_t sender_count() const { return senders_.size(); }

  // Returns true if time() or active() changed.
  bool Update(const ArrivedWatermark& arrived);
  // The watermark is not less than `floor`. Returns true if it changed.
  bool RaiseTo(EventTime floor);

  bool IsActive(size_t sender) const { return senders_[sender].active; }
  EventTime time() const { return time_; }
  // False if no sender is active.
  bool active() const { return active_; }

 private:
  struct Sender {
    EventTime time = kNoWatermark;
    bool active = true;
  };
  std::vector<Sender> senders_;
  EventTime time_ = kNoWatermark;
  bool active_ = true;
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_GRAPH_WATERMARK_H_
