#ifndef HEADWAY_ENGINE_BATCH_BATCH_STRING_H_
#define HEADWAY_ENGINE_BATCH_BATCH_STRING_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "comm/codec/stable_hash.h"

namespace headway {

// A string in a batch: a std::string_view with the promise that kReadableBeyond bytes after its end
// may be read too, with unspecified contents. So short strings are copied, compared and hashed as
// two words, without branches on their length, which processors predict badly. Valid as long as the
// batch.
class BatchString : public std::string_view {
 public:
  static constexpr size_t kReadableBeyond = 16;

  // REQUIRES: `view` is part of a string in a batch, so that the promise holds.
  explicit BatchString(std::string_view view) : std::string_view(view) {}
};

namespace internal {

// The reads of HashBytes for a string of up to 16 bytes as masks and shifts of its first 8 bytes
// and of 8 later ones, so that they cost no branch.
struct ShortHashReads {
  uint64_t first_mask;  // of the first 8 bytes
  uint64_t last_mask;   // of the 8 bytes from last_at on, after a shift by last_shift
  uint32_t few_mask;    // of three single bytes, for sizes below 4
  uint8_t last_at;
  uint8_t last_shift;
  uint8_t middle_shift;  // where the second and the third of these bytes are
  uint8_t end_shift;
};

constexpr std::array<ShortHashReads, 17> MakeShortHashReads() {
  std::array<ShortHashReads, 17> reads = {};
  for (size_t size = 0; size <= 16; ++size) {
    ShortHashReads& read = reads[size];
    if (size >= 8) {
      read.first_mask = read.last_mask = ~uint64_t{0};
      read.last_at = static_cast<uint8_t>(size - 8);
    } else if (size >= 4) {
      read.first_mask = read.last_mask = 0xffffffff;
      read.last_shift = static_cast<uint8_t>(8 * (size - 4));
    } else if (size > 0) {
      read.few_mask = 0xffffff;
      read.middle_shift = static_cast<uint8_t>(8 * (size / 2));
      read.end_shift = static_cast<uint8_t>(8 * (size - 1));
    }
  }
  return reads;
}
inline constexpr std::array<ShortHashReads, 17> kShortHashReads = MakeShortHashReads();

}  // namespace internal

// Equals the hash of the same std::string_view.
inline uint64_t StableHash(BatchString string) {
  static_assert(BatchString::kReadableBeyond >= 8);
  const size_t size = string.size();
  if (size > 16 || std::endian::native != std::endian::little) [[unlikely]] {
    return internal::HashBytes(string.data(), size);
  }
  const internal::ShortHashReads& read = internal::kShortHashReads[size];
  uint64_t word = 0;
  uint64_t last = 0;
  std::memcpy(&word, string.data(), sizeof(word));
  std::memcpy(&last, string.data() + read.last_at, sizeof(last));
  const uint64_t few = (word & 0xff) << 16 | (word >> read.middle_shift & 0xff) << 8 |
                       (word >> read.end_shift & 0xff);
  return internal::HashEnds((word & read.first_mask) | (few & read.few_mask),
                            last >> read.last_shift & read.last_mask, size);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_BATCH_STRING_H_
