#include "progress/compact_rounds.h"

#include <array>
#include <cstring>
#include <limits>

#include "check.h"
#include "progress/round.h"
#include "progress/timestamp.h"

namespace headway {

using internal::EncodedChange;
using internal::kTimeOffset;
using internal::kWordBytes;
using internal::RoundReader;
using internal::RoundWriter;

namespace {

constexpr size_t kMaxWords = 4;  // two bits hold the number of words less one
static_assert(kMaxWords * kWordBytes == kMaxTimestampBytes);

constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int64_t UndoZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// The change before the next one, which is encoded as the difference.
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
  for (RoundReader reader(round, change_bytes); !reader.done(); reader.Next()) ++count;
  AddVarint(dataflow);
  AddVarint(count);
  Last last;
  for (RoundReader reader(round, change_bytes); !reader.done(); reader.Next()) {
    const EncodedChange change = reader.change();
    const std::span<const std::byte> time = change.time_bytes(reader.change_bytes());
    const size_t words = time.size() / kWordBytes;
    HEADWAY_DCHECK(words >= 1 && words <= kMaxWords);
    const int64_t step = int64_t{change.location()} - int64_t{last.location};
    AddVarint(ZigZag(step) << 2 | (words - 1));
    AddSigned(change.delta());
    for (size_t i = 0; i < words; ++i) {
      uint64_t word;
      std::memcpy(&word, time.data() + i * kWordBytes, kWordBytes);
      AddSigned(static_cast<int64_t>(word - last.words[i]));
      last.words[i] = word;
    }
    last.location = change.location();
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
  RoundWriter writer(round);
  for (; count > 0; --count) {
    uint64_t head;
    int64_t delta;
    if (!ReadVarint(&head) || !ReadSigned(&delta)) return false;
    const int64_t location = int64_t{last.location} + UndoZigZag(head >> 2);
    if (location < 0 || location > int64_t{std::numeric_limits<uint32_t>::max()}) return false;
    if (delta != static_cast<int32_t>(delta)) return false;
    const size_t words = (head & 3) + 1;
    if (max_bytes - round->size() < kTimeOffset + words * kWordBytes) return false;
    for (size_t i = 0; i < words; ++i) {
      int64_t difference;
      if (!ReadSigned(&difference)) return false;
      last.words[i] += static_cast<uint64_t>(difference);
    }
    last.location = static_cast<uint32_t>(location);
    writer.AddEncoded(last.location, std::as_bytes(std::span(last.words).first(words)),
                      static_cast<int32_t>(delta));
  }
  return true;
}

}  // namespace headway
