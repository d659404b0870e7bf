#include "comm/codec/buffer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace headway {

std::vector<std::byte> Encoder::Take() {
  buffer_.resize(size_);
  size_ = 0;
  return std::exchange(buffer_, {});
}

void Encoder::Grow(size_t size) {
  // Doubling, so that clearing the new bytes costs no more than writing them.
  constexpr size_t kBytesMin = 64;
  buffer_.resize(std::max({size_ + size, 2 * size_, kBytesMin}));
}

bool Decoder::ReadNumber(uint64_t* number) {
  uint64_t result = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte = 0;
    if (!ReadByte(&byte)) return false;
    if (shift == 63 && byte > 1) return false;  // more than 64 bits
    if (byte == 0 && shift > 0) return false;   // not the shortest form
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *number = result;
      return true;
    }
  }
  return false;
}

}  // namespace headway
