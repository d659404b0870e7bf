#include "tests/engine/graph/allocation_counter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/sanitizers.h"

#ifndef HEADWAY_SANITIZED

namespace {
std::atomic<uint64_t> allocation_count{0};
}

void* operator new(size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t alignment) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  const auto align = static_cast<size_t>(alignment);
  if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

uint64_t AllocationCount() { return allocation_count.load(); }

#else

uint64_t AllocationCount() { return 0; }

#endif  // HEADWAY_SANITIZED
