#ifndef HEADWAY_ENGINE_STATE_TABLE_TAGS_H_
#define HEADWAY_ENGINE_STATE_TABLE_TAGS_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>

namespace headway::internal {

// Each slot of a FlatTable has a tag of one byte: 0 while it is vacant, else 7 bits of its key's
// hash below a set one. The tags of a row of slots show at once where a key is likely to be, or the
// first vacancy: without unpredictable branches, and without reads of the slots of other keys.
// Source: Abseil's "Swiss tables" (Kulukundis, 2017).
//
// The bits of a tag are neither those that select the slot nor those that select a worker.
inline uint8_t TagOf(uint64_t hash) { return static_cast<uint8_t>(hash >> 40 | 0x80); }

// The tags of kSize slots in a row. A result has a bit for each, the lowest for the first.
#if defined(__SSE2__)
class TagGroup {
 public:
  static constexpr size_t kSize = 16;

  explicit TagGroup(const uint8_t* tags)
      : tags_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tags))) {}
  uint32_t Equal(uint8_t tag) const {
    return Mask(_mm_cmpeq_epi8(tags_, _mm_set1_epi8(static_cast<char>(tag))));
  }
  uint32_t Vacant() const { return Mask(tags_) ^ 0xffff; }

 private:
  static uint32_t Mask(__m128i bytes) { return static_cast<uint32_t>(_mm_movemask_epi8(bytes)); }

  __m128i tags_;
};
#else
class TagGroup {
 public:
  static constexpr size_t kSize = 16;

  explicit TagGroup(const uint8_t* tags) : tags_(tags) {}
  uint32_t Equal(uint8_t tag) const {
    uint32_t mask = 0;
    for (size_t i = 0; i < kSize; ++i) mask |= uint32_t{tags_[i] == tag} << i;
    return mask;
  }
  uint32_t Vacant() const { return Equal(0); }

 private:
  const uint8_t* tags_;
};
#endif

// The tags of a table without memory: its one slot is vacant, and never written.
inline uint8_t no_tags[TagGroup::kSize] = {};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_TABLE_TAGS_H_
