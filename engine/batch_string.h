#ifndef HEADWAY_ENGINE_BATCH_STRING_H_
#define HEADWAY_ENGINE_BATCH_STRING_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "headway/comm/stable_hash.h"

namespace headway {

// A string in a batch: a std::string_view with the promise that kReadableBeyond bytes after its end
// may be read too, though they mean nothing. So short strings can be copied, compared and hashed as
// two words, without branches on their length, which no processor predicts. Valid as long as the
// batch is.
class BatchString : public std::string_view {
 public:
  static constexpr size_t kReadableBeyond = 16;

  // REQUIRES: `view` is a part of a string in a batch, so that the promise holds.
  explicit BatchString(std::string_view view) : std::string_view(view) {}
};

// The hash of the same std::string_view.
inline uint64_t StableHash(BatchString string) {
  const size_t size = string.size();
  if (size > 16 || std::endian::native != std::endian::little) {
    return internal::HashBytes(string.data(), size);
  }
  // What internal::HashBytes reads of so short a string, each case selected by a mask.
  auto when = [](bool condition) { return uint64_t{0} - uint64_t{condition}; };
  const uint64_t is_8 = when(size >= 8);
  const uint64_t is_4 = when(size >= 4);
  const uint64_t is_1 = when(size >= 1);
  const char* data = string.data();
  auto byte = [&](size_t at) { return uint64_t{static_cast<unsigned char>(data[at])}; };
  uint64_t word = 0;
  uint64_t last_word = 0;
  uint32_t last_half = 0;
  std::memcpy(&word, data, sizeof(word));
  std::memcpy(&last_word, data + ((size - 8) & is_8), sizeof(last_word));
  std::memcpy(&last_half, data + ((size - 4) & is_4), sizeof(last_half));
  const uint64_t few = byte(0) << 16 | byte(size / 2 & 1) << 8 | byte((size - 1) & is_1 & 3);
  const uint64_t first = (word & is_8) | (word & 0xffffffff & is_4 & ~is_8) | (few & is_1 & ~is_4);
  const uint64_t last = (last_word & is_8) | (last_half & is_4 & ~is_8);
  return internal::HashEnds(first, last, size);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_STRING_H_
