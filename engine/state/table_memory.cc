#include "engine/state/table_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>

namespace headway::internal {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr std::align_val_t kCacheLine{TableMemory::kAlignment};

bool IsMapped(size_t bytes) { return bytes >= kHugePageBytes; }

size_t RoundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Maps `bytes` at an address that is aligned to a huge page.
void* MapAligned(size_t bytes) {
  const size_t mapped = bytes + kHugePageBytes;
  void* address = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(address);
  const size_t before = RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePageBytes) -
                        reinterpret_cast<uintptr_t>(begin);
  char* data = begin + before;
  if (before > 0) munmap(begin, before);
  if (mapped - before - bytes > 0) munmap(data + bytes, mapped - before - bytes);
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);  // advice: without it the pages are small
#endif
  return data;
}

}  // namespace

TableMemory::TableMemory(size_t bytes) : bytes_(bytes) {
  if (IsMapped(bytes)) {
    bytes_ = RoundUp(bytes, kHugePageBytes);
    data_ = MapAligned(bytes_);
  } else {
    data_ = ::operator new(bytes, kCacheLine);
    std::memset(data_, 0, bytes);
  }
}

TableMemory::~TableMemory() {
  if (data_ == nullptr) return;
  if (IsMapped(bytes_)) {
    munmap(data_, bytes_);
  } else {
    ::operator delete(data_, kCacheLine);
  }
}

}  // namespace headway::internal
