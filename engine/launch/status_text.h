#ifndef HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_
#define HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/time/time.h"
#include "engine/runtime/run_monitor.h"

namespace headway::internal {

// Formats the statistics of a run as a line of text:
//
//   epoch 12 | 1.25M records/s | 3.4 MiB in flight | lag 1.5s
//
// While a dataflow stands still, the line ends with the reason. The rate is that since the previous
// update. The lag is the time since the sources left the earliest incomplete epoch; 0 while they
// are in it.
//
// Thread safety: none.
class StatusText {
 public:
  explicit StatusText(absl::Duration start) : last_time_(start) {}

  // Returns the line for `now`, the time since a fixed moment.
  std::string Update(const RunStatistics& statistics, absl::Duration now);

 private:
  absl::Duration Lag(const RunStatistics& statistics, absl::Duration now);

  struct Arrival {
    Epoch source_epoch;
    absl::Duration time;
  };
  absl::Duration last_time_;
  uint64_t last_records_ = 0;
  std::deque<Arrival> arrivals_;  // of sources, at epochs after the earliest incomplete one
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_
