#include "tests/engine/graph/allocation_counter.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "tests/sanitizers.h"

#ifndef HEADWAY_SANITIZED

namespace {

std::atomic<uint64_t> allocation_count{0};
std::atomic<uint64_t> first_failure{UINT64_MAX};
std::atomic<uint64_t> end_of_failures{UINT64_MAX};
std::atomic<bool> any_failed{false};

// Counts a call. Returns true if it fails.
bool Fails() {
  const uint64_t call = allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (call < first_failure.load(std::memory_order_relaxed) || call >= end_of_failures.load()) {
    return false;
  }
  any_failed = true;
  return true;
}

}  // namespace

void* operator new(size_t size) {
  if (!Fails()) {
    if (void* memory = std::malloc(size)) return memory;
  }
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t alignment) {
  if (!Fails()) {
    const auto align = static_cast<size_t>(alignment);
    if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

uint64_t AllocationCount() { return allocation_count.load(); }

void FailAllocations(int64_t first, int64_t count) {
  const uint64_t begin = allocation_count.load() + static_cast<uint64_t>(first);
  any_failed = false;
  end_of_failures = count > INT64_MAX - first ? UINT64_MAX : begin + static_cast<uint64_t>(count);
  first_failure = begin;
}

bool AnyAllocationFailed() { return any_failed; }

#else

uint64_t AllocationCount() { return 0; }
void FailAllocations(int64_t, int64_t) { std::abort(); }
bool AnyAllocationFailed() { return false; }

#endif  // HEADWAY_SANITIZED
