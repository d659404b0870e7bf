#include "progress/process_sum.h"

#include <cstring>

#include "check.h"
#include "progress/round.h"

namespace headway {

using internal::EncodedChange;
using internal::RoundReader;

namespace {

// A larger sum is due at once: one more message costs less than a look at the sum after each round.
constexpr size_t kMaxWaitingBytes = 4096;

}  // namespace

ProcessSum::ProcessSum(ProgressLayout layout, int workers, int worker_count)
    : layout_(std::move(layout)), may_wait_(workers > 1), sum_(layout_.change_bytes) {
  for (RoundReader reader(layout_.initial, layout_.change_bytes); !reader.done(); reader.Next()) {
    const EncodedChange change = reader.change();
    // All workers begin with equal counts.
    const int64_t own = int64_t{change.delta()} * workers / worker_count;
    if (layout_.only_capabilities[change.location()] && own != 0) {
      capabilities_.Add(PointOf(change), own);
    }
  }
}

ProcessSum::Point ProcessSum::PointOf(EncodedChange change) const {
  Point point = {change.location()};
  const std::span<const std::byte> time =
      change.time_bytes(layout_.change_bytes[change.location()]);
  std::memcpy(&point[1], time.data(), time.size());
  return point;
}

void ProcessSum::Add(std::span<const std::byte> round) {
  sum_.Add(round);
  is_due_known_ = false;
  if (!may_wait_) return;
  for (RoundReader reader(round, layout_.change_bytes); !reader.done(); reader.Next()) {
    const EncodedChange change = reader.change();
    if (!layout_.only_capabilities[change.location()]) continue;
    [[maybe_unused]] const int64_t count = capabilities_.Add(PointOf(change), change.delta());
    HEADWAY_DCHECK(count >= 0);  // T1: a worker drops only capabilities that it has
  }
}

bool ProcessSum::is_due() {
  if (empty() || !may_wait_) return !empty();
  if (!is_due_known_) {
    is_due_known_ = true;
    const std::span<const std::byte> net = sum_.Net();
    is_due_ = net.size() > kMaxWaitingBytes || TakesTheLast(net);
  }
  return is_due_;
}

// Returns true iff `net` has a negative change that the process's other capabilities do not cover.
bool ProcessSum::TakesTheLast(std::span<const std::byte> net) const {
  for (RoundReader reader(net, layout_.change_bytes); !reader.done(); reader.Next()) {
    const EncodedChange change = reader.change();
    if (change.delta() >= 0) continue;
    if (!layout_.only_capabilities[change.location()]) return true;
    if (!capabilities_.Contains(PointOf(change))) return true;
  }
  return false;
}

void ProcessSum::Clear() {
  sum_.Clear();
  is_due_known_ = false;
}

}  // namespace headway
