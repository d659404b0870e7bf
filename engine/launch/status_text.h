#ifndef HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_
#define HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_

#include <cstdint>
#include <deque>
#include <string>

#include "absl/time/time.h"
#include "engine/runtime/run_monitor.h"

namespace headway::internal {

// Says in a line how a run gets on, from looks at it now and then:
//
//   epoch 12 | 1.25M records/s | 3.4 MiB in flight | lag 1.5s
//
// The rate is that of the time since the look before. The lag says how long ago the sources were
// where the completed epochs are now: 0 while only epochs are open in which sources still emit.
//
// Thread safety: none.
class StatusText {
 public:
  explicit StatusText(absl::Duration start) : last_time_(start) {}

  // The line at `now`, the time since a fixed moment.
  std::string Update(const RunStatistics& statistics, absl::Duration now);

 private:
  absl::Duration Lag(const RunStatistics& statistics, absl::Duration now);

  struct Arrival {
    Epoch source_epoch;
    absl::Duration time;
  };
  absl::Duration last_time_;
  uint64_t last_records_ = 0;
  std::deque<Arrival> arrivals_;  // of sources, at epochs later than the completed ones
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STATUS_TEXT_H_
