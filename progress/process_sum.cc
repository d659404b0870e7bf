#include "progress/process_sum.h"

#include <cstring>

#include "check.h"
#include "progress/encoded_change.h"

namespace headway {

using internal::kDeltaOffset;
using internal::kTimeOffset;
using internal::Load;

namespace {

// A sum as large as this is worth a message, and looking at it again after each round would cost
// more than that.
constexpr size_t kMaxWaitingBytes = 4096;

}  // namespace

ProcessSum::ProcessSum(ProgressLayout layout, int workers, int worker_count)
    : layout_(std::move(layout)), may_wait_(workers > 1), sum_(layout_.change_bytes) {
  const std::vector<std::byte>& initial = layout_.initial;
  for (size_t at = 0; at < initial.size();) {
    const auto location = Load<uint32_t>(&initial[at]);
    // All workers begin with the same ones.
    const int64_t own =
        int64_t{Load<int32_t>(&initial[at + kDeltaOffset])} * workers / worker_count;
    if (layout_.only_capabilities[location] && own != 0) {
      capabilities_[PointOf(&initial[at])] += own;
    }
    at += layout_.change_bytes[location];
  }
}

ProcessSum::Point ProcessSum::PointOf(const std::byte* change) const {
  const auto location = Load<uint32_t>(change);
  Point point = {location};
  std::memcpy(&point[1], change + kTimeOffset, layout_.change_bytes[location] - kTimeOffset);
  return point;
}

void ProcessSum::Add(std::span<const std::byte> round) {
  sum_.Add(round);
  has_looked_ = false;
  if (!may_wait_) return;
  for (size_t at = 0; at < round.size();) {
    const auto location = Load<uint32_t>(&round[at]);
    if (layout_.only_capabilities[location]) {
      const auto count = capabilities_.try_emplace(PointOf(&round[at])).first;
      count->second += Load<int32_t>(&round[at + kDeltaOffset]);
      HEADWAY_DCHECK(count->second >= 0);  // T1: who drops one has it
      if (count->second == 0) capabilities_.erase(count);
    }
    at += layout_.change_bytes[location];
  }
}

bool ProcessSum::is_due() {
  if (empty() || !may_wait_) return !empty();
  if (!has_looked_) {
    has_looked_ = true;
    const std::span<const std::byte> net = sum_.Net();
    is_due_ = net.size() > kMaxWaitingBytes || TakesTheLast(net);
  }
  return is_due_;
}

// Whether something is taken away of which the process is not known to have more.
bool ProcessSum::TakesTheLast(std::span<const std::byte> net) const {
  for (size_t at = 0; at < net.size();) {
    const auto location = Load<uint32_t>(&net[at]);
    if (Load<int32_t>(&net[at + kDeltaOffset]) < 0) {
      if (!layout_.only_capabilities[location]) return true;
      const auto count = capabilities_.find(PointOf(&net[at]));
      if (count == capabilities_.end()) return true;
    }
    at += layout_.change_bytes[location];
  }
  return false;
}

void ProcessSum::Clear() {
  sum_.Clear();
  has_looked_ = false;
}

}  // namespace headway
