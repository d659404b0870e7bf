#include "progress/round_sum.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "check.h"

namespace headway {

using internal::EncodedChange;
using internal::FindFault;
using internal::RoundFault;
using internal::RoundReader;
using internal::RoundWriter;

bool RoundSum::Accepts(std::span<const std::byte> round) const {
  return FindFault(round, change_bytes_).kind == RoundFault::Kind::kNone;
}

void RoundSum::AddRounds(std::span<const std::byte> bytes, int rounds) {
  HEADWAY_DCHECK(Accepts(bytes));
  if (bytes.empty()) return;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  rounds_ += rounds;
}

std::span<const std::byte> RoundSum::Net() {
  if (rounds_ <= 1) return bytes_;  // one round is a net already
  changes_.clear();
  for (RoundReader reader(bytes_, change_bytes_); !reader.done(); reader.Next()) {
    changes_.push_back(reader.change());
  }
  // Negative, zero or positive, like memcmp. Any total order would do.
  const auto compare = [this](EncodedChange a, EncodedChange b) {
    if (a.location() != b.location()) return a.location() < b.location() ? -1 : 1;
    const std::span<const std::byte> time = TimeOf(a);
    return std::memcmp(time.data(), TimeOf(b).data(), time.size());
  };
  std::sort(changes_.begin(), changes_.end(),
            [&](EncodedChange a, EncodedChange b) { return compare(a, b) < 0; });
  net_.clear();
  RoundWriter writer(&net_);
  for (size_t i = 0; i < changes_.size();) {
    const EncodedChange change = changes_[i];
    int64_t sum = 0;
    for (; i < changes_.size() && compare(change, changes_[i]) == 0; ++i)
      sum += changes_[i].delta();
    while (sum != 0) {  // once, unless the sum does not fit in the delta of one change
      const auto delta = static_cast<int32_t>(std::clamp<int64_t>(
          sum, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
      writer.AddEncoded(change.location(), TimeOf(change), delta);
      sum -= delta;
    }
  }
  bytes_.swap(net_);
  rounds_ = 1;
  return bytes_;
}

}  // namespace headway
