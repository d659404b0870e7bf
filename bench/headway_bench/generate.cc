#include "bench/headway_bench/generate.h"

namespace headway::bench {

namespace {

constexpr uint64_t kWordsPerLine = 10;
// A word has 6 letters on average, and a separator.
constexpr uint64_t kBytesPerLine = 7 * kWordsPerLine;

// Appends word `number`: 2 to 10 lowercase letters.
void AppendWord(uint64_t number, std::string* text) {
  const uint64_t hash = SplitMix64(number);
  uint64_t digits = hash;
  for (uint64_t i = 0; i < 2 + hash % 9; ++i) {
    text->push_back(static_cast<char>('a' + digits % 26));
    digits /= 26;
  }
}

}  // namespace

uint64_t LineCount(uint64_t bytes) { return (bytes + kBytesPerLine - 1) / kBytesPerLine; }

std::string Text(Range lines, uint64_t words) {
  std::string text;
  text.reserve(lines.size() * (kBytesPerLine + 1));
  for (uint64_t line = lines.first; line < lines.last; ++line) {
    for (uint64_t position = 0; position < kWordsPerLine; ++position) {
      AppendWord(SplitMix64(line * kWordsPerLine + position) % words, &text);
      text.push_back(position + 1 == kWordsPerLine ? '\n' : ' ');
    }
  }
  return text;
}

uint64_t WordContribution(std::string_view word, int64_t count) {
  uint64_t hash = 0xCBF29CE484222325;
  for (char letter : word) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3;
  return SplitMix64(hash) * static_cast<uint64_t>(count);
}

}  // namespace headway::bench
