#ifndef HEADWAY_PROGRESS_ENCODED_CHANGE_H_
#define HEADWAY_PROGRESS_ENCODED_CHANGE_H_

#include <cstddef>
#include <cstring>

// How the changes of a round lie in memory; Tracker::Publish writes them.

namespace headway::internal {

// A change is {location: uint32, delta: int32, time}.
inline constexpr size_t kDeltaOffset = 4;
inline constexpr size_t kTimeOffset = 8;

// The value of type T that lies at `from`, aligned or not.
template <class T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_ENCODED_CHANGE_H_
