#ifndef HEADWAY_PROGRESS_PREFETCH_H_
#define HEADWAY_PROGRESS_PREFETCH_H_

#include <cstddef>

namespace headway::internal {

// Begins to load an object into the cache, so that the loads of its lines overlap. Does not wait.
template <class Object>
inline void Prefetch(const Object& object) {
  constexpr size_t kCacheLine = 64;
  const char* const begin = reinterpret_cast<const char*>(&object);
  for (size_t at = 0; at < sizeof(Object); at += kCacheLine) __builtin_prefetch(begin + at);
}

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_PREFETCH_H_
