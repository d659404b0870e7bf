#ifndef HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_
#define HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "comm/local/flow_control.h"

namespace headway::internal {

// Finds out that no credit can return any more, because all bytes in flight are in inputs that
// steps do not read. Each worker notes how many bytes it holds in such inputs while it can do
// nothing without credit. Credit cannot return if all workers do so, and these are all bytes in
// flight.
//
// The proof is about one process. Another process may still change a frontier, for which a step
// waits.
//
// Thread safety: a worker's thread calls Waits and Works for that worker; any thread may call Look.
class CreditStandstill {
 public:
  // `flow` outlives this. Something must move every `patience_nanos` of the run's clock.
  CreditStandstill(const FlowControl& flow, int workers, int64_t patience_nanos);

  // The worker can do nothing until credit returns, and holds `unread_bytes` that workers of this
  // process have sent.
  void Waits(int worker, int64_t unread_bytes) { Set(worker, unread_bytes); }
  // The worker is in a step, or something may happen on it without credit.
  void Works(int worker) { Set(worker, kWorks); }

  enum class Verdict {
    kMoves,         // bytes were sent or taken lately
    kStands,        // nothing was for some time; reported once
    kStandsForEver  // and no credit can return
  };
  // `now_nanos` is of the run's clock. Call it often while a worker waits.
  Verdict Look(int64_t now_nanos);

 private:
  static constexpr int64_t kWorks = -1;
  struct alignas(64) Worker {
    std::atomic<int64_t> unread_bytes{kWorks};
  };

  void Set(int worker, int64_t unread_bytes) {
    workers_[worker].unread_bytes.store(unread_bytes, std::memory_order_seq_cst);
  }
  bool AllBytesAreUnread() const;

  const FlowControl& flow_;
  const int worker_count_;
  const int64_t patience_nanos_;
  const std::unique_ptr<Worker[]> workers_;

  // Guarded by mutex_.
  std::mutex mutex_;
  int64_t moved_ = -1;  // FlowControl::Moved() when it changed last
  int64_t moved_nanos_ = 0;
  bool reported_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_
