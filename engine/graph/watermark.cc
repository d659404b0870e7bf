#include "engine/graph/watermark.h"

#include <algorithm>
#include <utility>

namespace headway::internal {

bool SenderWatermarks::Update(const ArrivedWatermark& arrived) {
  Sender& sender = senders_[arrived.sender];
  sender.time = std::max(sender.time, arrived.time);
  sender.active = arrived.active;
  EventTime least = std::numeric_limits<EventTime>::max();
  EventTime greatest = kNoWatermark;
  bool any_active = false;
  for (const Sender& each : senders_) {
    greatest = std::max(greatest, each.time);
    if (!each.active) continue;
    any_active = true;
    least = std::min(least, each.time);
  }
  const bool changed = std::exchange(active_, any_active) != any_active;
  return RaiseTo(any_active ? least : greatest) || changed;
}

bool SenderWatermarks::RaiseTo(EventTime floor) {
  if (floor <= time_) return false;
  time_ = floor;
  return true;
}

}  // namespace headway::internal
