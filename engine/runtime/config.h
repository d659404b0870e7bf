#ifndef HEADWAY_ENGINE_RUNTIME_CONFIG_H_
#define HEADWAY_ENGINE_RUNTIME_CONFIG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "engine/runtime/listener_list.h"
#include "progress/timestamp.h"

namespace headway {

class RecoveryStore;
class RunMonitor;

// Closes an epoch whenever this much clock time has passed, with or without items. An epoch lasts
// longer if the next one would exceed max_epochs_in_flight.
struct PeriodicEpochConfig {
  absl::Duration epoch_length = absl::Seconds(10);
};

// Closes an epoch after every item, and on every poll without items. For tests.
struct TestingEpochConfig {};

// Closes an epoch whenever the reader of a worker has emitted this many records. An epoch stays
// open while a reader is idle.
struct RecordCountEpochConfig {
  int64_t records_per_epoch = 1;
};

// Leaves it to the readers of sources to close epochs (SourceState::EndEpoch and AdvanceTo).
struct SourceEpochConfig {};

using EpochConfig = std::variant<PeriodicEpochConfig, TestingEpochConfig, RecordCountEpochConfig,
                                 SourceEpochConfig>;

// The epoch to which a graceful stop moves all sources. Every epoch before it becomes complete, and
// no step sees its input as finished. Times from here on are reserved: a stop does not wait for
// them.
inline constexpr Epoch kStopEpoch = Epoch{3} << 62;

// Stops runs gracefully. Sources emit nothing more. The run works off all that they have emitted,
// also at later times, and flushes it; then it returns OK. A stop is not the end of the input: no
// step sees its input as finished. Copies share one request.
//
// Thread safe. RequestStop and requested are also safe in a signal handler, if the handle outlives
// the handler. For SIGINT and SIGTERM prefer RunOptions::stop_on_signals.
class StopHandle {
 public:
  StopHandle() : state_(std::make_shared<State>()) {}
  // Moves copy: a handle always has a state.
  StopHandle(const StopHandle&) = default;
  StopHandle& operator=(const StopHandle&) = default;

  void RequestStop() const;
  bool requested() const { return state_->requested.load(std::memory_order_seq_cst); }

 private:
  friend class StopListener;

  struct State {
    std::atomic<bool> requested{false};
    internal::ListenerList listeners;
  };
  std::shared_ptr<State> state_;
};

// Calls a function when a stop is requested, on the requesting thread, which may be in a signal
// handler: the function must be safe there. For entry points. Thread safe.
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
// Receives diagnostics. It is called on any thread of a run, also on several at a time, and on the
// caller's while a cluster connects. The library itself writes nowhere.
using LogHook = std::function<void(LogSeverity, std::string_view message)>;

// How an idle worker waits for work.
enum class Waiting {
  kSpinThenPark,  // spins for about the cost of a wake-up, then sleeps until it is woken: the
                  // default
  kSpin,          // never sleeps: lowest latency, one core for each worker
};

// Options of the entry points for several processes. They are the same in every process.
struct ClusterConfig {
  // Proves membership, in both directions. Without a secret a cluster uses loopback addresses only,
  // unless it is `insecure`.
  std::string secret = {};
  bool insecure = false;
  std::string name = {};  // two clusters of different names refuse each other
  absl::Duration connect_timeout = absl::Seconds(30);  // until all processes are connected
  absl::Duration peer_timeout = absl::Seconds(10);     // a process silent for longer is lost
  size_t max_frame_bytes = size_t{256} << 20;          // the largest batch
};

// Recovery: the state of a run is kept in a store, so that a run that died, or was stopped, resumes
// there. A snapshot of all state that changed is taken at the end of every `snapshot_every_epochs`
// epochs. An epoch is committed when its snapshots are durable and all sinks have handed it over;
// the next run with the same store resumes after the last committed epoch, with any number of
// workers.
struct RecoveryConfig {
  // StoreInDirectory, StoreInPostgres (engine/store/store.h), or one of the user's own. A missing
  // store is made, with a partition for each worker. All processes can reach it.
  std::shared_ptr<RecoveryStore> store = nullptr;
  // For this long the epochs stay apart in the store, so that copies of its partitions that were
  // made at different times still have an epoch in common.
  absl::Duration backup_interval = absl::ZeroDuration();
  // Snapshots are taken at the end of every so many epochs.
  int snapshot_every_epochs = 1;
};

// Restarts after failures, for runs with recovery: the run resumes after the last committed epoch,
// as its next generation, in the same call of the entry point: the dataflow is built again, the
// program of Execute is called again. InvalidArgument and Cancelled end the run. So does a failure
// that comes three times in a row with the same message, unless it is Unavailable.
//
// In a cluster that is put together by hand, a process that lost another one waits until that one
// is started again, for the window, or for ClusterConfig::connect_timeout if that is longer. The
// wait is one restart. A process that never was connected to all others is not restarted.
struct RestartConfig {
  int max_restarts = 10;  // within the window; one failure more ends the run
  absl::Duration window = absl::Minutes(10);
  // Before the second restart within the window; doubled for each further one, up to a minute.
  absl::Duration backoff = absl::Seconds(1);
};

// Options of every entry point. An aggregate, meant for designated initializers.
struct RunOptions {
  // Threads of RunMain, including the caller's. RunFromArgs and CommandLine take it as the default
  // of -w. The other entry points have a count of their own and ignore this one.
  int worker_count = 1;
  EpochConfig epoch_config = PeriodicEpochConfig{};
  Epoch first_epoch = 0;  // where the run starts, unless it resumes
  // The number of epochs that may be incomplete anywhere while sources emit. With the default 2, a
  // source runs at most one epoch ahead of the oldest incomplete one. At the limit, timed epochs
  // become longer, and other sources pause.
  int max_epochs_in_flight = 2;
  // Limit of the bytes of batches between steps, in each process. All P processes may send to one
  // of them, so each may have a P-th of the limit in flight.
  int64_t max_bytes_in_flight = int64_t{256} << 20;
  // Stateful steps and sinks hold batches of later epochs until the earlier ones are complete. On
  // if there is a recovery_config.
  bool apply_in_epoch_order = false;
  std::optional<RecoveryConfig> recovery_config = std::nullopt;
  std::optional<RestartConfig> restart = std::nullopt;  // needs a recovery_config
  Waiting waiting = Waiting::kSpinThenPark;
  StopHandle stop = {};
  // SIGINT and SIGTERM request the stop; a second signal ends the process. With spawned processes
  // they are signals to the parent. The handlers of the program are back when the run has ended.
  bool stop_on_signals = false;
  ClusterConfig cluster = {};
  LogHook log_hook = nullptr;
  RunMonitor* monitor = nullptr;  // null: no statistics. Not owned; outlives the run
  Clock* clock = nullptr;         // null: the system's clocks. Not owned; outlives the run
};

namespace internal {

// InvalidArgument if a length or a number of records is not positive.
absl::Status ValidateEpochConfig(const EpochConfig& config);

// Calls the hook, unless it is null. An exception of the hook is dropped: there is nobody else to
// report it to.
void Log(const LogHook& hook, LogSeverity severity, std::string_view message) noexcept;

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUNTIME_CONFIG_H_
