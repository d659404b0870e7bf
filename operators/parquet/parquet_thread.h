#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_THREAD_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_THREAD_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "engine/step/activator.h"

namespace headway::internal {

// Does jobs one after the other on a thread of its own, which starts with the first: a file takes
// too long to be written by a worker. The lanes of a sink share it. Thread safe.
class ParquetThread {
 public:
  class Job {
   public:
    bool done() const { return done_.load(std::memory_order_acquire); }
    // REQUIRES: done.
    const absl::Status& status() const { return status_; }

   private:
    friend class ParquetThread;

    absl::AnyInvocable<absl::Status()> work_;
    ThreadActivator activator_;
    absl::Status status_;
    std::atomic<bool> done_{false};
  };

  ParquetThread() = default;
  ParquetThread(const ParquetThread&) = delete;
  ParquetThread& operator=(const ParquetThread&) = delete;
  ~ParquetThread();

  // Activates the operator when the job is done.
  std::shared_ptr<const Job> Start(absl::AnyInvocable<absl::Status()> work,
                                   ThreadActivator activator);
  // Drops the job if it has not begun, else waits for its end.
  void Drop(const std::shared_ptr<const Job>& job);

 private:
  void Run();

  std::mutex mutex_;  // guards the three members below
  std::deque<std::shared_ptr<Job>> waiting_;
  std::shared_ptr<Job> under_way_;
  bool ends_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_THREAD_H_
