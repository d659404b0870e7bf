#ifndef HEADWAY_ENGINE_NETWORK_FRAME_PUMP_H_
#define HEADWAY_ENGINE_NETWORK_FRAME_PUMP_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/functional/function_ref.h"
#include "comm/local/endpoint.h"
#include "comm/local/parker.h"

namespace headway::internal {

// Decides which thread exchanges frames with the other processes. The workers take turns: one that
// has finished a step pumps, and an idle one waits on the connections for all. A watchdog thread
// pumps when no worker does: user code may keep every worker for a long time, and the other
// processes must not take that for the death of this one.
//
// Thread safety: all methods. One lock, the pump's, makes Work single-threaded.
class FramePump {
 public:
  // The work of the pump. The holder of the lock calls the methods, but for OutOfMemory.
  class Work {
   public:
    virtual ~Work() = default;
    // Sends the workers' messages to other processes, and delivers arrived frames. Returns true if
    // any arrived.
    virtual bool ExchangeFrames() = 0;
    // Sends credit and progress that is withheld for larger frames. Called when the next exchange
    // may be far away.
    virtual void SendWithheld() = 0;
    // Waits on the thread of `worker` for other processes, and for everything that would wake the
    // worker, at most for `timeout`.
    virtual void Wait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
                      absl::FunctionRef<bool()> has_work) = 0;
    // Fails the run for a lack of memory.
    virtual void OutOfMemory() = 0;
  };

  // A wake-up of `waiting` ends Work::Wait. `work` and `waiting` outlive the pump.
  FramePump(Work& work, Parker& waiting) : work_(work), waiting_(waiting) {}
  // Ends the watchdog.
  ~FramePump();
  FramePump(const FramePump&) = delete;
  FramePump& operator=(const FramePump&) = delete;

  // Starts the watchdog. REQUIRES: the work is ready. Throws std::system_error.
  void StartWatchdog();

  // Exchanges frames, unless another thread does. `urgent`: there is something to send, so the
  // other thread exchanges once more. Returns true if anything arrived.
  bool Run(bool urgent);

  // Waits in Work::Wait, then exchanges frames. Returns false, at once, if another thread holds the
  // lock: then the worker can sleep, and is woken.
  bool TryWait(Endpoint& worker, std::optional<std::chrono::nanoseconds> timeout,
               absl::FunctionRef<bool()> has_work);

  // Locks the pump for the end of the run. Waits for the lock.
  std::unique_lock<std::mutex> Lock() { return std::unique_lock(mutex_); }
  // Exchanges frames, which the watchdog notices. Returns true if anything arrived. REQUIRES: the
  // lock is held.
  bool Exchange();

 private:
  void Watch();

  Work& work_;
  Parker& waiting_;
  std::mutex mutex_;  // the pump's lock
  std::atomic<bool> run_again_{false};
  std::atomic<uint64_t> exchanges_{0};

  std::mutex watchdog_mutex_;
  std::condition_variable watchdog_ends_;
  bool ending_ = false;  // guarded by watchdog_mutex_
  std::thread watchdog_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_FRAME_PUMP_H_
