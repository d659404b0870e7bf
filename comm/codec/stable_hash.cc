#include "comm/codec/stable_hash.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace headway::internal {
namespace {

// Reads little-endian integers at any alignment.
uint64_t Read64(const unsigned char* data) {
  uint64_t value = 0;
  std::memcpy(&value, data, sizeof(value));
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

uint64_t Read32(const unsigned char* data) {
  uint32_t value = 0;
  std::memcpy(&value, data, sizeof(value));
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
  return value;
}

}  // namespace

// Follows the idea of Wang Yi's wyhash. One 64 x 64 -> 128 bit multiplication folds 16 bytes at a
// time into the state. The last read overlaps the bytes before it, so that no length needs a loop
// over single bytes.
uint64_t HashBytes(const void* data, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  uint64_t hash = kHashSecret0;
  uint64_t first = 0;
  uint64_t last = 0;
  if (size > 16) {
    const unsigned char* end = bytes + size;
    if (size > 32) {
      uint64_t other =
          kHashSecret3;  // a second chain, for the processor to work on at the same time
      do {
        hash = MultiplyFold(Read64(bytes) ^ kHashSecret1, Read64(bytes + 8) ^ hash);
        other = MultiplyFold(Read64(bytes + 16) ^ kHashSecret2, Read64(bytes + 24) ^ other);
        bytes += 32;
      } while (end - bytes > 32);
      hash ^= other;
    }
    if (end - bytes > 16)
      hash = MultiplyFold(Read64(bytes) ^ kHashSecret1, Read64(bytes + 8) ^ hash);
    first = Read64(end - 16);
    last = Read64(end - 8);
  } else if (size >= 8) {
    first = Read64(bytes);
    last = Read64(bytes + size - 8);
  } else if (size >= 4) {
    first = Read32(bytes);
    last = Read32(bytes + size - 4);
  } else if (size > 0) {
    first = uint64_t{bytes[0]} << 16 | uint64_t{bytes[size / 2]} << 8 | bytes[size - 1];
  }
  return HashEnds(first, last, size, hash);
}

uint64_t HashDouble(double value) {
  if (value == 0) value = 0;                                   // also -0.0
  if (value != value) return HashInteger(0x7ff8000000000000);  // every NaN
  return HashInteger(std::bit_cast<uint64_t>(value));
}

}  // namespace headway::internal
