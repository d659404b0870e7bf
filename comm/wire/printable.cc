#include "comm/wire/printable.h"

#include <cstdint>

namespace headway::internal {
namespace {

constexpr char32_t kInvalid = 0xFFFFFFFF;

// Decodes the first character of `text`, and stores the number of its bytes. kInvalid: the first
// byte does not start a well-formed character.
char32_t DecodeFirst(std::string_view text, size_t* bytes) {
  const auto first = static_cast<uint8_t>(text[0]);
  *bytes = 1;
  if (first < 0x80) return first;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return kInvalid;
  char32_t character = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xC0) != 0x80) return kInvalid;
    character = character << 6 | (next & 0x3F);
  }
  // Overlong forms, surrogates, and numbers beyond Unicode.
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = character >= 0xD800 && character < 0xE000;
  if (character < kLeast[length] || is_surrogate || character > 0x10FFFF) return kInvalid;
  *bytes = length;
  return character;
}

}  // namespace

std::string Printable(std::string_view text, size_t max_bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  constexpr std::string_view kCut = "...";
  std::string printable;
  size_t cut_at = 0;  // where the result is cut if the rest does not fit
  while (!text.empty()) {
    size_t bytes = 0;
    const char32_t character = DecodeFirst(text, &bytes);
    const bool is_control = character < 0x20 || (character >= 0x7F && character < 0xA0);
    for (const char each : text.substr(0, bytes)) {
      const auto byte = static_cast<uint8_t>(each);
      if (is_control || character == kInvalid) {
        printable += {'\\', 'x', kHex[byte >> 4], kHex[byte & 0xF]};
      } else {
        printable += each;
      }
    }
    if (printable.size() > max_bytes) {
      printable.resize(cut_at);
      printable += kCut;
      return printable;
    }
    if (printable.size() + kCut.size() <= max_bytes) cut_at = printable.size();
    text.remove_prefix(bytes);
  }
  return printable;
}

}  // namespace headway::internal
