#ifndef HEADWAY_ENGINE_STORE_LENGTH_H_
#define HEADWAY_ENGINE_STORE_LENGTH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "comm/codec/buffer.h"

// Lengths in base 128, as Encoder::AppendLength writes them, for buffers that are no Encoder's.

namespace headway::internal {

inline constexpr size_t kLengthBytesMax = 10;

// Writes at most kLengthBytesMax bytes to `out`, and returns their end.
inline char* WriteLength(uint64_t length, char* out) {
  while (length >= 0x80) {
    *out++ = static_cast<char>(length | 0x80);
    length >>= 7;
  }
  *out++ = static_cast<char>(length);
  return out;
}

// Reads a length and removes its bytes from `bytes`. Returns false if they are malformed.
inline bool ReadLength(std::string_view* bytes, uint64_t* length) {
  if (bytes->empty()) return false;
  const auto first = static_cast<unsigned char>(bytes->front());
  if (first < 0x80) {
    *length = first;
    bytes->remove_prefix(1);
    return true;
  }
  Decoder decoder(std::as_bytes(std::span(bytes->data(), bytes->size())));
  if (!decoder.ReadNumber(length)) return false;
  bytes->remove_prefix(bytes->size() - decoder.remaining());
  return true;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_LENGTH_H_
