// `headway-restart DIRECTORY`: the time from kill -9 of one of two processes to the first record
// that leaves a keyed count again. The processes are spawned, or, with --members, run ClusterMain
// and the killed one is started again at once.

#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/headway_bench/generate.h"
#include "bench/headway_bench/options.h"
#include "bench/headway_bench/steps.h"
#include "headway.h"

namespace headway::bench {
namespace {

constexpr size_t kProcesses = 2;
constexpr uint64_t kNever = 0;

uint64_t MachineNanos() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// The state of the measurement, in memory that all processes share.
struct Board {
  std::array<std::atomic<pid_t>, kProcesses> pids;
  std::array<std::atomic<uint64_t>, kProcesses> filled_nanos;  // by partition: it had all keys
  std::array<std::atomic<uint64_t>, kProcesses> emitted;       // by partition
  std::array<std::atomic<uint64_t>, kProcesses> emitted_at_kill;
  std::atomic<uint64_t> counted;  // since the start or the last kill
  std::atomic<uint64_t> kill_nanos;
  std::atomic<uint64_t> first_nanos;  // the first record that left the count again
  std::atomic<uint64_t> new_nanos;    // the first that had not left its source before the kill

  static Board* Create() {
    void* memory =
        mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : new (memory) Board{};
  }
};

struct Change {
  uint64_t key;
  uint64_t number;  // within its partition
  uint64_t partition;
};

struct Work {
  Board* board;
  uint64_t keys;
  uint64_t rate;  // of records per second, once each key was there
};

// Two partitions, each with half of the keys: first all of them as fast as possible, then at a rate
// that continues while processes are away.
class Changes {
 public:
  using Record = Change;

  class Reader {
   public:
    Reader(Work work, uint64_t partition, uint64_t next)
        : work_(work), partition_(partition), next_(next) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Change>& out) {
      const uint64_t keys = work_.keys / kProcesses;
      std::atomic<uint64_t>& filled = work_.board->filled_nanos[partition_];
      SourceState state = SourceState::More();
      while (out.WantsMore()) {
        if (next_ == keys && filled == kNever) filled = MachineNanos();
        if (next_ >= keys) {
          const uint64_t due = filled + (next_ - keys) * kProcesses * 1'000'000'000 / work_.rate;
          const uint64_t now = MachineNanos();
          if (due > now) {
            state = SourceState::Idle(absl::Nanoseconds(due - now));
            break;
          }
        }
        const uint64_t key = SplitMix64(next_ % keys * kProcesses + partition_);
        out.Emit(Change{key, next_, partition_});
        ++next_;
      }
      std::atomic<uint64_t>& emitted = work_.board->emitted[partition_];
      if (next_ > emitted) emitted = next_;
      return state;
    }
    std::string Snapshot() const { return absl::StrCat(next_); }

   private:
    const Work work_;
    const uint64_t partition_;
    uint64_t next_;
  };

  explicit Changes(Work work) : work_(work) {}

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"0", "1"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       std::optional<std::string> position) {
    uint64_t next = 0;
    if (position.has_value() && !absl::SimpleAtoi(*position, &next)) {
      return absl::DataLossError("a position that is no number");
    }
    return Reader(work_, partition == "1", next);
  }

 private:
  const Work work_;
};

void SetOnce(std::atomic<uint64_t>& moment, uint64_t nanos) {
  uint64_t expected = kNever;
  moment.compare_exchange_strong(expected, nanos);
}

Dataflow CountFlow(Work work) {
  return Dataflow("restart", [work](Scope<>& scope) {
    Board& board = *work.board;
    board.pids[static_cast<size_t>(scope.worker_index())] = getpid();  // it has one worker
    // Attempts that began before the kill may emit for some moments more.
    const uint64_t begin = MachineNanos();
    CountChanges(scope.Input("changes", Changes(work)), [](const Change& change, const Totals&) {
      return change;
    }) | InspectBatch("notice", [&board, begin](std::span<const Change> batch) {
      const uint64_t kill = board.kill_nanos;
      if (begin < kill) return;
      board.counted += batch.size();
      if (kill == kNever) return;
      SetOnce(board.first_nanos, MachineNanos());
      for (const Change& change : batch) {
        if (change.number < board.emitted_at_kill[change.partition]) continue;
        SetOnce(board.new_nanos, MachineNanos());
        break;
      }
    });
  });
}

RunOptions OptionsOf(const std::string& directory) {
  RunOptions run;
  run.epoch_config = PeriodicEpochConfig{absl::Seconds(1)};
  run.recovery_config = RecoveryConfig{.store = StoreAt(directory)};
  run.restart = RestartConfig{.max_restarts = 1000, .backoff = absl::ZeroDuration()};
  run.cluster.peer_timeout = absl::Seconds(1);
  run.log_hook = [](LogSeverity, std::string_view) {};
  return run;
}

// Runs `body` in a child that dies with this process.
pid_t Fork(absl::FunctionRef<absl::Status()> body) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const absl::Status status = body();
  if (!status.ok()) absl::FPrintF(stderr, "headway-restart: %s\n", status.ToString());
  _exit(status.ok() ? 0 : 1);
}

std::string FreeAddress() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in bound = {};
  bound.sin_family = AF_INET;
  bound.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(bound);
  if (bind(socket, reinterpret_cast<sockaddr*>(&bound), size) != 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    std::perror("headway-restart: no free port");
    std::exit(1);
  }
  close(socket);
  return absl::StrCat("127.0.0.1:", ntohs(bound.sin_port));
}

// The two processes.
class Cluster {
 public:
  Cluster(Work work, RunOptions run, bool are_members) : work_(work), run_(std::move(run)) {
    if (!are_members) {
      supervisor_ = Fork(
          [&] { return SpawnCluster(CountFlow(work_), {.proc_count = kProcesses, .run = run_}); });
      return;
    }
    for (size_t process = 0; process < kProcesses; ++process) addresses_.push_back(FreeAddress());
    for (size_t process = 0; process < kProcesses; ++process) StartMember(process);
  }
  ~Cluster() {
    if (supervisor_ != 0) kill(supervisor_, SIGKILL);
    for (const std::atomic<pid_t>& pid : work_.board->pids) {
      if (pid != 0) kill(pid, SIGKILL);
    }
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void KillAndReplace(size_t victim) {
    const pid_t pid = work_.board->pids[victim];
    kill(pid, SIGKILL);
    if (supervisor_ != 0) return;
    waitpid(pid, nullptr, 0);
    StartMember(victim);
  }

 private:
  void StartMember(size_t process) {
    Fork([&] {
      return ClusterMain(
          CountFlow(work_),
          {.addresses = addresses_, .proc_id = static_cast<int>(process), .run = run_});
    });
  }

  const Work work_;
  const RunOptions run_;
  pid_t supervisor_ = 0;
  std::vector<std::string> addresses_;
};

// Polls, because the processes have nothing in common but the memory.
template <class Condition>
bool Await(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

double Millis(uint64_t from, uint64_t to) {
  return static_cast<double>(static_cast<int64_t>(to - from)) / 1e6;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

int Run(const Options& options) {
  Board* const board = Board::Create();
  if (board == nullptr) {
    std::perror("headway-restart: no shared memory");
    return 1;
  }
  const Work work{board, options.number("keys") / kProcesses * kProcesses, options.number("rate")};
  std::error_code error;
  std::filesystem::create_directories(options.file, error);
  Cluster cluster(work, OptionsOf(options.file), options.flag("members"));
  std::mt19937_64 random(options.number("seed"));
  std::vector<double> first;
  std::vector<double> fresh;
  const uint64_t rounds = options.number("rounds");
  for (uint64_t round = 0; round < rounds; ++round) {
    // Two epochs with all keys, of which the first is committed then; the kill comes at any moment
    // of an epoch.
    const uint64_t enough = (round == 0 ? work.keys : 0) + 2 * work.rate + random() % work.rate;
    if (!Await([&] { return board->counted >= enough; })) {
      absl::FPrintF(stderr, "headway-restart: the cluster makes no progress\n");
      return 1;
    }
    for (size_t i = 0; i < kProcesses; ++i) board->emitted_at_kill[i] = board->emitted[i].load();
    board->counted = 0;
    board->first_nanos = board->new_nanos = kNever;
    const uint64_t kill = MachineNanos();
    board->kill_nanos = kill;
    cluster.KillAndReplace(random() % kProcesses);
    if (!Await([&] { return board->new_nanos != kNever; })) {
      absl::FPrintF(stderr, "headway-restart: no output within a minute after a kill\n");
      return 1;
    }
    first.push_back(Millis(kill, board->first_nanos));
    fresh.push_back(Millis(kill, board->new_nanos));
    absl::PrintF("round %d: first record after %.0f ms, first new one after %.0f ms\n", round + 1,
                 first.back(), fresh.back());
    std::fflush(stdout);
  }
  absl::PrintF("medians: first record %.0f ms, first new record %.0f ms\n", Median(first),
               Median(fresh));
  return 0;
}

}  // namespace
}  // namespace headway::bench

int main(int argc, char** argv) {
  using namespace headway::bench;
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const std::vector<Argument> arguments = {
      Number("keys", 1'000'000, "distinct keys"), Number("rate", 100'000, "changes per second"),
      Number("rounds", 5, "kills"), Number("seed", 1, "of the moments and the victims"),
      Flag("members", "the processes run ClusterMain; the killed one is started again")};
  constexpr std::string_view kFileHelp = "directory of the recovery store, empty or missing";
  absl::StatusOr<Options> options = Options::Parse(words, "", arguments, kFileHelp);
  if (!options.ok() || (options->file.empty() && !options->help)) {
    absl::FPrintF(stderr, "headway-restart: %s\n%s",
                  options.ok() ? "give a directory" : options.status().message(),
                  DescribeArguments(arguments, kFileHelp));
    return 2;
  }
  if (options->help) {
    std::fputs(DescribeArguments(arguments, kFileHelp).c_str(), stdout);
    return 0;
  }
  return Run(*options);
}
