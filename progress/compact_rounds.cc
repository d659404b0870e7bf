#include "progress/compact_rounds.h"

#include <array>
#include <cstring>
#include <limits>

#include "check.h"
#include "progress/encoded_change.h"
#include "progress/timestamp.h"

namespace headway {

using internal::kDeltaOffset;
using internal::kTimeOffset;
using internal::Load;

namespace {

constexpr size_t kWordBytes = 8;
constexpr size_t kMaxWords = 4;  // two bits say how many there are
static_assert(kMaxWords * kWordBytes == kMaxTimestampBytes);

constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t UndoZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// What the next change is told as the difference to.
struct Last {
  uint32_t location = 0;
  std::array<uint64_t, kMaxWords> words = {};
};

}  // namespace

void CompactRounds::AddVarint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
  bytes_.push_back(static_cast<std::byte>(value));
}

void CompactRounds::AddSigned(int64_t value) { AddVarint(ZigZag(value)); }

void CompactRounds::Add(uint32_t dataflow, std::span<const std::byte> round,
                        std::span<const uint32_t> change_bytes) {
  HEADWAY_DCHECK(!round.empty());
  uint64_t count = 0;
  for (size_t at = 0; at < round.size(); ++count) {
    at += change_bytes[Load<uint32_t>(round.data() + at)];
  }
  AddVarint(dataflow);
  AddVarint(count);
  Last last;
  for (const std::byte* change = round.data(); count > 0; --count) {
    const auto location = Load<uint32_t>(change);
    const size_t words = (change_bytes[location] - kTimeOffset) / kWordBytes;
    HEADWAY_DCHECK(words >= 1 && words <= kMaxWords);
    const int64_t step = static_cast<int64_t>(location) - static_cast<int64_t>(last.location);
    AddVarint(ZigZag(step) << 2 | (words - 1));
    AddSigned(Load<int32_t>(change + kDeltaOffset));
    for (size_t i = 0; i < words; ++i) {
      const auto word = Load<uint64_t>(change + kTimeOffset + i * kWordBytes);
      AddSigned(static_cast<int64_t>(word - last.words[i]));
      last.words[i] = word;
    }
    last.location = location;
    change += change_bytes[location];
  }
}

bool CompactRoundsReader::ReadVarint(uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < left_.size() && i < 10; ++i) {
    const auto byte = static_cast<uint64_t>(left_[i]);
    *value |= (byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) {
      left_ = left_.subspan(i + 1);
      return true;
    }
  }
  return false;
}

bool CompactRoundsReader::ReadSigned(int64_t* value) {
  uint64_t bits;
  if (!ReadVarint(&bits)) return false;
  *value = UndoZigZag(bits);
  return true;
}

bool CompactRoundsReader::Next(size_t max_bytes, uint32_t* dataflow,
                               std::vector<std::byte>* round) {
  if (malformed_ || left_.empty()) return false;
  malformed_ = !ReadRound(max_bytes, dataflow, round);
  return !malformed_;
}

bool CompactRoundsReader::ReadRound(size_t max_bytes, uint32_t* dataflow,
                                    std::vector<std::byte>* round) {
  round->clear();
  uint64_t number;
  uint64_t count;
  if (!ReadVarint(&number) || !ReadVarint(&count)) return false;
  if (number > std::numeric_limits<uint32_t>::max() || count == 0) return false;
  *dataflow = static_cast<uint32_t>(number);
  Last last;
  for (; count > 0; --count) {
    uint64_t head;
    int64_t delta;
    if (!ReadVarint(&head) || !ReadSigned(&delta)) return false;
    const int64_t location = int64_t{last.location} + UndoZigZag(head >> 2);
    if (location < 0 || location > int64_t{std::numeric_limits<uint32_t>::max()}) return false;
    if (delta != static_cast<int32_t>(delta)) return false;
    const size_t words = (head & 3) + 1;
    const size_t at = round->size();
    if (max_bytes - at < kTimeOffset + words * kWordBytes) return false;
    round->resize(at + kTimeOffset + words * kWordBytes);
    last.location = static_cast<uint32_t>(location);
    const auto delta32 = static_cast<int32_t>(delta);
    std::memcpy(round->data() + at, &last.location, sizeof(last.location));
    std::memcpy(round->data() + at + kDeltaOffset, &delta32, sizeof(delta32));
    for (size_t i = 0; i < words; ++i) {
      int64_t difference;
      if (!ReadSigned(&difference)) return false;
      last.words[i] += static_cast<uint64_t>(difference);
      std::memcpy(round->data() + at + kTimeOffset + i * kWordBytes, &last.words[i], kWordBytes);
    }
  }
  return true;
}

}  // namespace headway
