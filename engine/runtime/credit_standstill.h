#ifndef HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_
#define HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

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
  // `flow` outlives this. A standstill of `patience_nanos` of the run's clock is reported.
  CreditStandstill(const FlowControl& flow, int workers, int64_t patience_nanos);

  // The worker can do nothing until credit returns, and holds `unread_bytes` that workers of this
  // process have sent.
  void Waits(int worker, int64_t unread_bytes) { Set(worker, unread_bytes); }
  // The worker is in a step, or something may happen on it without credit.
  void Works(int worker) { Set(worker, kWorks); }

  // The host of the worker has returned: it builds, feeds and cancels nothing more.
  void NoteHostReturned(int worker) { workers_[worker].host_has_returned.store(true); }
  // A dataflow that waits for credit has published progress, or applied that of others.
  void Progressed() { progressed_.fetch_add(1, std::memory_order_relaxed); }

  enum class Verdict {
    kMoves,         // bytes were sent or taken, or progress was made, lately
    kStands,        // not for some time; reported once
    kStandsForEver  // not for a minute, and no credit can return
  };
  // `now_nanos` is of the run's clock. Call it often while a worker waits.
  Verdict Look(int64_t now_nanos);

 private:
  static constexpr int64_t kWorks = -1;
  // A step that polls for something that no one announces, such as the clock, looks as one that
  // waits for ever. It has this long.
  static constexpr int64_t kForEverNanos = int64_t{60} * 1'000'000'000;
  struct alignas(64) Worker {
    std::atomic<int64_t> unread_bytes{kWorks};
    std::atomic<uint64_t> notes{0};  // of unread bytes, so far
    std::atomic<bool> host_has_returned{false};
  };

  void Set(int worker, int64_t unread_bytes) {
    workers_[worker].unread_bytes.store(unread_bytes, std::memory_order_seq_cst);
    workers_[worker].notes.fetch_add(1, std::memory_order_seq_cst);
  }
  bool AllBytesAreUnread() const;
  // Returns true if they still are after each worker has said so again.
  bool IsConfirmed();

  const FlowControl& flow_;
  const int worker_count_;
  const int64_t patience_nanos_;
  const std::unique_ptr<Worker[]> workers_;

  // Guarded by mutex_.
  std::mutex mutex_;
  int64_t moved_ = -1;  // bytes and progress, when they changed last
  int64_t moved_nanos_ = 0;
  bool reported_ = false;
  std::vector<uint64_t> first_notes_;  // by worker, when all bytes were unread; empty: they are not

  std::atomic<int64_t> progressed_{0};
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_CREDIT_STANDSTILL_H_
