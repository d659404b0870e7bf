#ifndef HEADWAY_BENCH_HEADWAY_BENCH_HARNESS_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_HARNESS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "bench/headway_bench/counting_transport.h"
#include "bench/headway_bench/histogram.h"
#include "bench/headway_bench/options.h"
#include "headway.h"

namespace headway::bench {

// The result of a benchmark, on one worker or over all.
struct Outcome {
  double seconds = 0;     // from the common start until the work was complete
  uint64_t rounds = 0;    // of all workers together
  uint64_t records = 0;   // sent by this worker
  uint64_t bytes = 0;     // of text sent by this worker; 0 if bytes mean nothing
  uint64_t checksum = 0;  // this worker's part of the wrapping sum over the results
  std::optional<double> ns_per_round = {};  // unless it is seconds / rounds
  Histogram latencies = {};
  // Others by name, in the same order on all workers. The largest of them counts.
  std::vector<std::pair<std::string, double>> figures = {};
};

// A worker's report to worker 0 at the end. The first worker of a process reports for the process.
struct Summary {
  Outcome outcome;
  double cpu_seconds = 0;  // user and system time of the process while the clock ran
  uint64_t peak_rss_bytes = 0;
  uint64_t progress_frames = 0;  // sent by the process while the clock ran
  uint64_t progress_bytes = 0;
};

// A benchmark's outcome over all workers, and its cost over all processes.
struct Report {
  std::string name;
  int workers = 0;
  Summary total;

  std::string ToText() const;
  std::string ToJson() const;
};

// A line on a terminal that shows the progress of the work. A thread of its own rewrites it twice a
// second. If standard error is not a terminal, it does nothing.
class ProgressLine {
 public:
  ProgressLine(std::string_view name, bool shown);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Thread safe.
  void SetTotal(uint64_t total) { total_.store(total, std::memory_order_relaxed); }
  void SetDone(uint64_t done) { done_.store(done, std::memory_order_relaxed); }

 private:
  void Run();

  const std::string name_;
  alignas(64) std::atomic<uint64_t> done_{0};
  alignas(64) std::atomic<uint64_t> total_{0};
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::thread thread_;
};

class Stopwatch {
 public:
  // The machine's monotonic clock, which all of its processes share.
  static uint64_t MachineNanos() { return NanosOf(Clock::now()); }

  Stopwatch() = default;
  explicit Stopwatch(uint64_t start_machine_nanos)
      : start_(std::chrono::nanoseconds(start_machine_nanos)) {}

  double Seconds() const { return static_cast<double>(Nanos()) / 1e9; }
  uint64_t Nanos() const { return NanosOf(Clock::time_point(Clock::now() - start_)); }

 private:
  using Clock = std::chrono::steady_clock;
  static uint64_t NanosOf(Clock::time_point time) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
  }
  Clock::time_point start_ = Clock::now();
};

// One worker's part of a run: the common start and the common end. Owned by the worker's program.
// The barrier between the workers is a dataflow with only an input and a probe.
class Harness {
 public:
  // Shared by the workers of a process.
  struct Shared {
    Shared(std::string_view name, int process) : progress(name, process == 0) {}
    ProgressLine progress;
    ProgressTraffic traffic;
    std::vector<Summary> summaries;  // of all workers; kept by worker 0
  };

  Harness(Worker& worker, Shared& shared) : worker_(worker), shared_(shared) {}

  absl::Status Build();

  // Waits until all workers have built their dataflows and called Start, then starts the clock.
  // `total` is the amount of work that SetDone counts, for the progress line; 0 if it counts none.
  absl::Status Start(uint64_t total = 0);

  // Sets the clocks of all workers, which are on one machine, to the same start. For schedules that
  // all workers follow: Start returns some microseconds later on one worker than on another. Call
  // it after Start.
  absl::Status SetClocksEqual();

  // The time since the common start.
  const Stopwatch& clock() const { return clock_; }

  // Sets the amount of work that worker 0 has done. Costs a store.
  void SetDone(uint64_t done) {
    if (worker_.index() == 0) shared_.progress.SetDone(done);
  }

  // Waits for all workers.
  absl::Status Barrier();

  // Waits for all workers and reports this one's outcome to worker 0. `speaks_for_process`:
  // includes the cost of its process.
  absl::Status Finish(Outcome outcome, bool speaks_for_process);

 private:
  Worker& worker_;
  Shared& shared_;
  InputHandle<uint64_t> input_;
  ProbeHandle<> probe_;
  Stopwatch clock_;
  double cpu_at_start_ = 0;
  uint64_t frames_at_start_ = 0;
  uint64_t bytes_at_start_ = 0;
};

// One subcommand. Each worker executes `run`: it builds dataflows, starts the clock together with
// the others, works, and returns this worker's outcome.
struct Benchmark {
  std::string_view name;
  std::string_view summary;
  std::vector<Argument> arguments;
  absl::StatusOr<Outcome> (*run)(Worker&, Harness&, const Options&);
  std::string_view file_help = {};  // of the argument FILE; empty: it takes none
  // Sets options of the run; may be null.
  void (*configure)(const Options&, RunOptions&) = nullptr;
};

// Runs a benchmark on options.workers threads of this process, or on each of options.processes
// processes that it forks. Calls `print` with the report in the process of worker 0.
absl::Status Run(const Benchmark& benchmark, const Options& options,
                 absl::FunctionRef<void(const Report&)> print);

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_HARNESS_H_
