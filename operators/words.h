#ifndef HEADWAY_OPERATORS_WORDS_H_
#define HEADWAY_OPERATORS_WORDS_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <ranges>
#include <string_view>
#include <type_traits>

#include "engine/batch/batch_string.h"

namespace headway {

namespace internal {

// Returns a bit for each of 16 characters: 1 unless it is white space.
inline uint64_t LettersOf16(const char* characters) {
#if defined(__SSE2__)
  const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(characters));
  auto is = [c](char value) { return _mm_cmpeq_epi8(c, _mm_set1_epi8(value)); };
  const __m128i space = _mm_or_si128(_mm_or_si128(is(' '), is('\n')),
                                     _mm_or_si128(_mm_or_si128(is('\t'), is('\r')), is('\f')));
  return ~static_cast<uint64_t>(_mm_movemask_epi8(space)) & 0xffff;
#else
  uint64_t letters = 0;
  for (size_t i = 0; i < 16; ++i) {
    const char c = characters[i];
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
    letters |= uint64_t{!space} << i;
  }
  return letters;
#endif
}

}  // namespace internal

// The words of a text, as a range of views into it. Words are separated by ASCII white space
// (space, tab, line feed, form feed, carriage return). The edges of words are found 64 characters
// at a time, without a branch per character. The words of a BatchString are BatchStrings. The text
// must outlive the range.
template <class View>
class WordRange : public std::ranges::view_interface<WordRange<View>> {
 public:
  class Iterator {
   public:
    using value_type = View;
    using difference_type = ptrdiff_t;

    Iterator() = default;
    explicit Iterator(std::string_view text)
        : chunk_(text.data()), text_end_(text.data() + text.size()) {
      FindEdges();
      FindWord();
    }
    View operator*() const {
      return View(std::string_view(begin_, static_cast<size_t>(end_ - begin_)));
    }
    Iterator& operator++() {
      FindWord();
      return *this;
    }
    void operator++(int) { FindWord(); }
    bool operator==(std::default_sentinel_t) const { return begin_ == nullptr; }

   private:
    static constexpr ptrdiff_t kChunk = 64;

    // Inline, so that the members of an iterator stay in registers: the next edge depends on them.
    [[gnu::always_inline]] void FindWord() {
      begin_ = NextEdge(nullptr);
      if (begin_ != nullptr) end_ = NextEdge(text_end_);
    }

    // The next edge of a word; `otherwise` if there is none.
    const char* NextEdge(const char* otherwise) {
      while (edges_ == 0) {
        if (text_end_ - chunk_ <= kChunk) return otherwise;
        chunk_ += kChunk;
        FindEdges();
      }
      const char* edge = chunk_ + std::countr_zero(edges_);
      edges_ &= edges_ - 1;
      return edge;
    }

    void FindEdges() {
      const auto count = static_cast<size_t>(std::min(text_end_ - chunk_, kChunk));
      uint64_t letters = 0;
      for (size_t at = 0; at < count; at += 16) {
        letters |= LettersAt(chunk_ + at, count - at) << at;
      }
      if (count < kChunk) letters &= (uint64_t{1} << count) - 1;
      edges_ = letters ^ (letters << 1 | in_word_);
      in_word_ = letters >> 63;
    }

    // LettersOf16 of `count` characters, if there are fewer than 16; the other bits are
    // unspecified.
    static uint64_t LettersAt(const char* characters, size_t count) {
      if constexpr (!std::is_same_v<View, BatchString>) {
        if (count < 16) {
          char copy[16] = {};
          std::memcpy(copy, characters, count);
          return internal::LettersOf16(copy);
        }
      }
      static_assert(BatchString::kReadableBeyond >= 16);
      return internal::LettersOf16(characters);
    }

    const char* chunk_ = nullptr;
    const char* text_end_ = nullptr;
    uint64_t edges_ = 0;           // of the chunk, not visited yet: starts and ends in turn
    uint64_t in_word_ = 0;         // 1 if the last character of the chunk belongs to a word
    const char* begin_ = nullptr;  // of the current word; null at the end
    const char* end_ = nullptr;
  };

  explicit WordRange(View text) : text_(text) {}
  Iterator begin() const { return Iterator(text_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  View text_;
};

// The words of `text`; see WordRange.
inline WordRange<std::string_view> Words(std::string_view text) {
  return WordRange<std::string_view>(text);
}
inline WordRange<BatchString> Words(BatchString text) { return WordRange<BatchString>(text); }

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WORDS_H_
