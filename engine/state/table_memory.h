#ifndef HEADWAY_ENGINE_STATE_TABLE_MEMORY_H_
#define HEADWAY_ENGINE_STATE_TABLE_MEMORY_H_

#include <cstddef>
#include <utility>

namespace headway::internal {

// The memory of a hash table: zeroed, and aligned to cache lines. A large table is in huge pages if
// the system allows it: accesses to a hash table are random, and with small pages most of them
// would miss the TLB too. Movable, not thread safe.
class TableMemory {
 public:
  static constexpr size_t kAlignment = 64;

  TableMemory() = default;
  explicit TableMemory(size_t bytes);
  TableMemory(TableMemory&& other) noexcept { *this = std::move(other); }
  TableMemory& operator=(TableMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~TableMemory();

  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_TABLE_MEMORY_H_
