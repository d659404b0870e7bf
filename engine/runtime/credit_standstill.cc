#include "engine/runtime/credit_standstill.h"

#include <algorithm>
#include <utility>

namespace headway::internal {

CreditStandstill::CreditStandstill(const FlowControl& flow, int workers, int64_t patience_nanos)
    : flow_(flow),
      worker_count_(workers),
      patience_nanos_(patience_nanos),
      workers_(std::make_unique<Worker[]>(static_cast<size_t>(workers))) {}

CreditStandstill::Verdict CreditStandstill::Look(int64_t now_nanos) {
  std::lock_guard lock(mutex_);
  const int64_t moved = flow_.Moved() + progressed_.load(std::memory_order_relaxed);
  if (moved != moved_) {
    moved_ = moved;
    moved_nanos_ = now_nanos;
    reported_ = false;
    first_notes_.clear();
  }
  const int64_t stands_nanos = now_nanos - moved_nanos_;
  if (stands_nanos < patience_nanos_) return Verdict::kMoves;
  if (stands_nanos >= std::max(patience_nanos_, kForEverNanos) && IsConfirmed()) {
    return Verdict::kStandsForEver;
  }
  return std::exchange(reported_, true) ? Verdict::kMoves : Verdict::kStands;
}

bool CreditStandstill::IsConfirmed() {
  if (!AllBytesAreUnread()) {
    first_notes_.clear();
    return false;
  }
  if (first_notes_.empty()) {
    for (int worker = 0; worker < worker_count_; ++worker) {
      first_notes_.push_back(workers_[worker].notes.load());
    }
    return false;
  }
  for (int worker = 0; worker < worker_count_; ++worker) {
    if (workers_[worker].notes.load() == first_notes_[static_cast<size_t>(worker)]) return false;
  }
  return true;
}

bool CreditStandstill::AllBytesAreUnread() const {
  int64_t unread = 0;
  for (int worker = 0; worker < worker_count_; ++worker) {
    if (!workers_[worker].host_has_returned.load()) return false;
    const int64_t bytes = workers_[worker].unread_bytes.load(std::memory_order_seq_cst);
    if (bytes == kWorks) return false;
    unread += bytes;
  }
  return unread == flow_.InFlight();
}

}  // namespace headway::internal
