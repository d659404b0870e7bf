#ifndef HEADWAY_ENGINE_STEP_KEPT_WATERMARKS_H_
#define HEADWAY_ENGINE_STEP_KEPT_WATERMARKS_H_

#include <cstddef>
#include <map>

#include "engine/graph/watermark.h"

namespace headway {

// The watermarks behind which the records of a step came that it keeps, and sends later: one for
// each group of records that it sends together. No watermark above their least may precede the
// records downstream. Not thread safe.
class KeptWatermarks {
 public:
  void Add(EventTime watermark) { ++counts_[watermark]; }
  // REQUIRES: it was added.
  void Remove(EventTime watermark) {
    const auto count = counts_.find(watermark);
    if (--count->second == 0) counts_.erase(count);
  }

  // For LimitWatermark of NodeInput and KeyedStep.
  EventTime Limit() const { return counts_.empty() ? kNoWatermarkLimit : counts_.begin()->first; }

 private:
  std::map<EventTime, size_t> counts_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_KEPT_WATERMARKS_H_
