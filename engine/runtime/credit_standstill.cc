#include "engine/runtime/credit_standstill.h"

#include <utility>

namespace headway::internal {

CreditStandstill::CreditStandstill(const FlowControl& flow, int workers, int64_t patience_nanos)
    : flow_(flow),
      worker_count_(workers),
      patience_nanos_(patience_nanos),
      workers_(std::make_unique<Worker[]>(static_cast<size_t>(workers))) {}

CreditStandstill::Verdict CreditStandstill::Look(int64_t now_nanos) {
  std::lock_guard lock(mutex_);
  if (const int64_t moved = flow_.Moved(); moved != moved_) {
    moved_ = moved;
    moved_nanos_ = now_nanos;
    reported_ = false;
  }
  if (now_nanos - moved_nanos_ < patience_nanos_) return Verdict::kMoves;
  if (AllBytesAreUnread()) return Verdict::kStandsForEver;
  return std::exchange(reported_, true) ? Verdict::kMoves : Verdict::kStands;
}

bool CreditStandstill::AllBytesAreUnread() const {
  int64_t unread = 0;
  for (int worker = 0; worker < worker_count_; ++worker) {
    const int64_t bytes = workers_[worker].unread_bytes.load(std::memory_order_seq_cst);
    if (bytes == kWorks) return false;
    unread += bytes;
  }
  return unread == flow_.InFlight();
}

}  // namespace headway::internal
