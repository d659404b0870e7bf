#include "progress/round_sum.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "check.h"
#include "progress/encoded_change.h"

namespace headway {

using internal::kDeltaOffset;
using internal::kTimeOffset;
using internal::Load;

std::span<const std::byte> RoundSum::ChangeAt(size_t offset) const {
  const auto location = Load<uint32_t>(bytes_.data() + offset);
  HEADWAY_CHECK(location < change_bytes_.size());
  return std::span(bytes_).subspan(offset, change_bytes_[location]);
}

bool RoundSum::Accepts(std::span<const std::byte> round) const {
  for (size_t at = 0; at < round.size();) {
    if (round.size() - at < kTimeOffset) return false;
    const auto location = Load<uint32_t>(round.data() + at);
    if (location >= change_bytes_.size()) return false;
    if (round.size() - at < change_bytes_[location]) return false;
    at += change_bytes_[location];
  }
  return true;
}

void RoundSum::AddRounds(std::span<const std::byte> bytes, int rounds) {
  if (bytes.empty()) return;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  rounds_ += rounds;
}

std::span<const std::byte> RoundSum::Net() {
  if (rounds_ <= 1) return bytes_;  // a round is a net already
  offsets_.clear();
  for (size_t offset = 0; offset < bytes_.size(); offset += ChangeAt(offset).size()) {
    offsets_.push_back(offset);
  }
  auto compare = [this](size_t a, size_t b) {
    const std::span<const std::byte> left = ChangeAt(a);
    const std::span<const std::byte> right = ChangeAt(b);
    if (const int locations = std::memcmp(left.data(), right.data(), kDeltaOffset)) {
      return locations;
    }
    return std::memcmp(left.data() + kTimeOffset, right.data() + kTimeOffset,
                       left.size() - kTimeOffset);
  };
  std::sort(offsets_.begin(), offsets_.end(),
            [&](size_t a, size_t b) { return compare(a, b) < 0; });
  net_.clear();
  for (size_t i = 0; i < offsets_.size();) {
    const std::span<const std::byte> change = ChangeAt(offsets_[i]);
    int64_t sum = 0;
    size_t next = i;
    for (; next < offsets_.size() && compare(offsets_[i], offsets_[next]) == 0; ++next) {
      sum += Load<int32_t>(bytes_.data() + offsets_[next] + kDeltaOffset);
    }
    while (sum != 0) {  // once, unless the sum does not fit in the delta of one change
      const auto delta = static_cast<int32_t>(std::clamp<int64_t>(
          sum, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
      const size_t at = net_.size();
      net_.insert(net_.end(), change.begin(), change.end());
      std::memcpy(net_.data() + at + kDeltaOffset, &delta, sizeof(delta));
      sum -= delta;
    }
    i = next;
  }
  bytes_.swap(net_);
  rounds_ = 1;
  return bytes_;
}

}  // namespace headway
