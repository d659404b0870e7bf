#include "engine/step/outbox.h"

#include <cstdint>
#include <cstring>

namespace headway {
namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);

}  // namespace

void Outbox::Add(std::string_view item) {
  const size_t bytes = kLengthBytes + item.size();
  if (chunks_.empty() || chunks_.back().size() + bytes > kChunkBytes) {
    chunks_.emplace_back().reserve(bytes);
  }
  byte_count_ += bytes;
  const auto length = static_cast<uint32_t>(item.size());
  chunks_.back().append(reinterpret_cast<const char*>(&length), kLengthBytes);
  chunks_.back().append(item);
}

bool Outbox::Restore(std::string_view chunk) {
  size_t at = 0;
  while (chunk.size() - at >= kLengthBytes) {
    uint32_t length;
    std::memcpy(&length, chunk.data() + at, kLengthBytes);
    at += kLengthBytes;
    if (length > chunk.size() - at) return false;
    at += length;
  }
  if (at != chunk.size() || chunk.empty()) return false;
  chunks_.emplace_back(chunk);
  byte_count_ += chunk.size();
  return true;
}

void Outbox::AppendTo(std::vector<std::string_view>& items) const {
  for (const std::string& chunk : chunks_) {
    const std::string_view view = chunk;
    for (size_t at = 0; at < view.size();) {
      uint32_t length;
      std::memcpy(&length, view.data() + at, kLengthBytes);
      at += kLengthBytes;
      items.push_back(view.substr(at, length));
      at += length;
    }
  }
}

}  // namespace headway
