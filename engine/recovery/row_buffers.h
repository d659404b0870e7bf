#ifndef HEADWAY_ENGINE_RECOVERY_ROW_BUFFERS_H_
#define HEADWAY_ENGINE_RECOVERY_ROW_BUFFERS_H_

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace headway::internal {

// Buffers of rows between the workers of a process, which fill them, and the store's thread, which
// gives them back: memory that is new costs a worker more than the rows that it writes there.
// Thread safe.
class RowBuffers {
 public:
  static constexpr size_t kBytes = size_t{256} << 10;  // a buffer with as many is full

  // An empty buffer with room for kBytes and a last row.
  std::string Take() {
    std::string buffer;
    {
      std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        buffer = std::move(free_.back());
        free_.pop_back();
      }
    }
    buffer.reserve(kBytes + kBytes / 8);
    return buffer;
  }

  void Return(std::string buffer) {
    if (buffer.capacity() < kBytes || buffer.capacity() > 2 * kBytes) return;
    buffer.clear();
    std::lock_guard lock(mutex_);
    if (free_.size() < kKept) free_.push_back(std::move(buffer));
  }

 private:
  static constexpr size_t kKept = 512;  // about 150 MiB, the rows of some million changes

  std::mutex mutex_;
  std::vector<std::string> free_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RECOVERY_ROW_BUFFERS_H_
