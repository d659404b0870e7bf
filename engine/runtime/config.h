#ifndef HEADWAY_ENGINE_RUNTIME_CONFIG_H_
#define HEADWAY_ENGINE_RUNTIME_CONFIG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "progress/timestamp.h"

namespace headway {

class RunMonitor;

// Closes an epoch each time this much clock time has passed, whether or not items came.
struct PeriodicEpochConfig {
  absl::Duration epoch_length = absl::Seconds(10);
};

// Closes an epoch after every item, and on a poll that brings none: for tests that want to see each
// epoch.
struct TestingEpochConfig {};

using EpochConfig = std::variant<PeriodicEpochConfig, TestingEpochConfig>;

// Asks runs to stop gracefully, from any thread: sources stop, the current epoch is completed, and
// the run returns OK. It is not the end of the input: no step sees its input as finished. Copies
// share one request. Not for use in a signal handler, since it takes a lock.
class StopHandle {
 public:
  StopHandle() : state_(std::make_shared<State>()) {}

  void RequestStop();
  bool requested() const { return state_->requested.load(std::memory_order_acquire); }

 private:
  friend class StopListener;

  struct State {
    std::atomic<bool> requested{false};
    std::mutex mutex;
    std::vector<const std::function<void()>*> listeners;
  };
  std::shared_ptr<State> state_;
};

// Calls a function, in the thread that asks, when a stop is requested. For entry points. Thread
// safe.
class StopListener {
 public:
  StopListener(const StopHandle& handle, std::function<void()> listener);
  ~StopListener();
  StopListener(const StopListener&) = delete;
  StopListener& operator=(const StopListener&) = delete;

 private:
  const StopHandle handle_;
  const std::function<void()> listener_;
};

enum class LogSeverity { kInfo, kWarning, kError };
// Receives diagnostics; called from any thread of a run, also from several at a time, and while a
// cluster connects from that of the caller. The library itself writes nowhere.
using LogHook = std::function<void(LogSeverity, std::string_view message)>;

// How an idle worker waits for work.
enum class Waiting {
  kSpinThenPark,  // spins for about the cost of a wake-up, then sleeps until something comes: the
                  // default
  kSpin,          // never sleeps: lowest latency, one core for each worker
};

// What runs of several processes have in common, the same in all of them.
struct ClusterConfig {
  // Proves membership, in both directions. Without a secret a cluster uses loopback addresses only,
  // unless it is `insecure`.
  std::string secret = {};
  bool insecure = false;
  std::string name = {};  // two clusters of different names refuse each other
  absl::Duration connect_timeout = absl::Seconds(30);  // for all processes to be there
  absl::Duration peer_timeout = absl::Seconds(10);     // silence after which a process is given up
  size_t max_frame_bytes = size_t{256} << 20;          // the largest batch
};

// What all entry points have in common. An aggregate, meant for designated initializers.
struct RunOptions {
  // Threads of RunMain, including the caller's. The other entry points have a count of their own
  // and ignore this one.
  int worker_count = 1;
  EpochConfig epoch_config = PeriodicEpochConfig{};
  Epoch first_epoch = 0;  // where the run starts
  // A source emits in an epoch when all but so many of those up to it are complete everywhere.
  int max_epochs_in_flight = 2;
  // Of batches on their way between steps, in each process. Since all P of them may send to one,
  // each has a P-th of it for what it sends.
  int64_t max_bytes_in_flight = int64_t{256} << 20;
  bool apply_in_epoch_order = false;  // stateful steps and sinks hold what belongs to later epochs
  Waiting waiting = Waiting::kSpinThenPark;
  StopHandle stop = {};
  ClusterConfig cluster = {};
  LogHook log_hook = nullptr;
  RunMonitor* monitor = nullptr;  // null: nobody watches. Not owned; outlives the run
  Clock* clock = nullptr;         // null: the system's clocks. Not owned; outlives the run
};

namespace internal {

// Calls the hook, unless it is null. An exception of the hook is dropped: there is nobody else to
// report it to.
void Log(const LogHook& hook, LogSeverity severity, std::string_view message) noexcept;

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUNTIME_CONFIG_H_
