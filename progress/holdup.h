#ifndef HEADWAY_PROGRESS_HOLDUP_H_
#define HEADWAY_PROGRESS_HOLDUP_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <string>

#include "progress/location_id.h"
#include "progress/timestamp.h"

namespace headway {

// An outstanding time that keeps frontiers from passing it: the reason why something downstream
// does not become complete.
struct Holdup {
  LocationId location;
  std::string time;  // as TimestampTraits::Format writes it
};

namespace internal {

// A time of any type at a location.
struct PointInTime {
  template <class T>
  static PointInTime Of(LocationId location, const T& time) {
    PointInTime point{location, {}};
    std::memcpy(point.bytes.data(), &time, sizeof(T));
    return point;
  }
  template <class T>
  T Time() const {
    T time;
    std::memcpy(&time, bytes.data(), sizeof(T));
    return time;
  }
  auto operator<=>(const PointInTime&) const = default;

  LocationId location;
  std::array<std::byte, kMaxTimestampBytes> bytes;
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_PROGRESS_HOLDUP_H_
