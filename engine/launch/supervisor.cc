#include "engine/launch/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "comm/system/output.h"
#include "engine/launch/forked_child.h"
#include "engine/launch/stop_event.h"
#include "engine/runtime/failure_origin.h"
#include "engine/runtime/status_macros.h"
#include "engine/runtime/stop_signals.h"

namespace headway::internal {
namespace {

using SteadyClock = std::chrono::steady_clock;

#if defined(__SANITIZE_THREAD__)
#define HEADWAY_THREAD_SANITIZER 1  // GCC
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HEADWAY_THREAD_SANITIZER 1  // clang
#endif
#endif

#ifdef HEADWAY_THREAD_SANITIZER
constexpr ptrdiff_t kThreadsOfRuntime = 1;  // that of the thread sanitizer
#else
constexpr ptrdiff_t kThreadsOfRuntime = 0;
#endif

// Returns true for the thread with which jemalloc returns memory to the system. jemalloc holds it
// up during a fork, and starts another one in the child. Arrow's libraries have it.
bool IsOfAllocator(int tasks, const char* thread) {
  constexpr std::string_view kName = "jemalloc_bg_thd\n";
  std::array<char, sizeof(dirent::d_name) + sizeof("/comm")> path;
  std::snprintf(path.data(), path.size(), "%s/comm", thread);
  const int file = openat(tasks, path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::array<char, 32> name;
  const ssize_t size = read(file, name.data(), name.size());
  close(file);
  return size > 0 && std::string_view(name.data(), static_cast<size_t>(size)) == kName;
}

// Returns the number of threads of the program, or -1 and sets errno. Not std::filesystem, which
// ends the program if it cannot allocate.
ptrdiff_t CountThreads() {
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return -1;
  ptrdiff_t count = 0;
  while (const dirent* const entry = readdir(tasks)) {
    if (entry->d_name[0] != '.' && !IsOfAllocator(dirfd(tasks), entry->d_name)) ++count;
  }
  closedir(tasks);
  return count;
}

absl::Status CheckNoOtherThreads() {
  // A joined thread may stay in the list for a moment.
  constexpr std::chrono::milliseconds kPause(1);
  constexpr int kAttempts = 100;
  ptrdiff_t others = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const ptrdiff_t threads = CountThreads();
    if (threads < 0) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "cannot count the threads of the program: /proc/self/task: %s", std::strerror(errno)));
    }
    others = threads - 1 - kThreadsOfRuntime;
    if (others <= 0) return absl::OkStatus();
    std::this_thread::sleep_for(kPause);
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "the program has %d other threads, which a fork would lose: spawn the processes before "
      "starting threads",
      others));
}

// sockets[p][q] is the end in process p of the connection between p and q.
using Sockets = std::vector<std::vector<FileDescriptor>>;

absl::StatusOr<Sockets> ConnectAll(int process_count) {
  Sockets sockets(process_count);
  for (auto& of_process : sockets) of_process.resize(process_count);
  for (int p = 0; p < process_count; ++p) {
    for (int q = 0; q < p; ++q) {
      absl::StatusOr<SocketPair> pair = MakeSocketPair();
      if (!pair.ok()) return pair.status();
      sockets[p][q] = std::move((*pair)[0]);
      sockets[q][p] = std::move((*pair)[1]);
    }
  }
  return sockets;
}

// Blocks every signal of the calling thread while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

// The failure to return. A secondary failure, of a process that lost another one or was told to
// end, gives way to its cause, even if the cause is noticed later.
class FirstFailure {
 public:
  void Add(const ForkedChild::End& end) {
    if (end.status.ok()) return;
    const auto now = SteadyClock::now();
    if (status_.ok()) time_ = now;
    if ((IsLoss(end.status) || end.is_death) && !loss_time_.has_value()) loss_time_ = now;
    if (status_.ok() || (Follows(status_) && !Follows(end.status))) {
      status_ = end.status;
      signal_ = end.signal;
    }
  }
  const absl::Status& status() const { return status_; }
  // The signal that killed the child whose death this is; 0: none.
  int signal() const { return signal_; }
  // When the first failure of any kind was noticed.
  SteadyClock::time_point time() const { return time_; }
  // When the first loss of a process was noticed.
  std::optional<SteadyClock::time_point> loss_time() const { return loss_time_; }

 private:
  static bool Follows(const absl::Status& status) { return IsLoss(status) || IsTold(status); }

  absl::Status status_;
  int signal_ = 0;
  SteadyClock::time_point time_;
  std::optional<SteadyClock::time_point> loss_time_;
};

class Supervisor {
 public:
  explicit Supervisor(const ChildProcessesOptions& options) : options_(options) {}

  absl::Status Start(ChildBody body);
  absl::Status WaitForAll();

 private:
  bool AnyRuns() const;
  void Wait();
  void Note(ForkedChild& child);
  void RequestStop();
  SteadyClock::time_point Deadline() const;
  void KillWhenPatienceEnds();

  const ChildProcessesOptions& options_;
  std::vector<ForkedChild> children_;
  FileDescriptor stop_event_;
  bool stop_requested_ = false;
  bool killed_ = false;
  FirstFailure failure_;
};

absl::Status Supervisor::Start(ChildBody body) {
  absl::StatusOr<Sockets> sockets = ConnectAll(options_.process_count);
  if (!sockets.ok()) return sockets.status();
  absl::StatusOr<FileDescriptor> stop_event = MakeStopEvent();
  if (!stop_event.ok()) return stop_event.status();
  stop_event_ = *std::move(stop_event);
  // Otherwise every child would write the buffered output again.
  std::cout.flush();
  FlushStream(stdout);
  std::fflush(nullptr);
  const pid_t parent = getpid();
  children_.reserve(options_.process_count);
  for (int process = 0; process < options_.process_count; ++process) {
    absl::StatusOr<SocketPair> control = MakeSocketPair();
    if (!control.ok()) return control.status();
    ChildProcess child = {.process = process,
                          .parent = parent,
                          .control = std::move((*control)[1]),
                          .sockets = std::move((*sockets)[process]),
                          .stop = options_.stop};
    SignalsBlocked blocked;
    const pid_t pid = fork();
    if (pid < 0) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "cannot start process %d: fork: %s; use fewer processes, or allow more (ulimit -u)",
          process, std::strerror(errno)));
    }
    if (pid == 0) {
      // A copy of a socket's end in a sibling would hide the death of its owner.
      sockets->clear();
      for (ForkedChild& sibling : children_) sibling.Forget();
      (*control)[0].Close();
      stop_event_.Close();
      std::move(child).Run(blocked.before(), body);
    }
    children_.emplace_back(process, pid, std::move((*control)[0]));
    HEADWAY_RETURN_IF_ERROR(children_.back().Watch());
  }
  return absl::OkStatus();
}

bool Supervisor::AnyRuns() const {
  return std::any_of(children_.begin(), children_.end(),
                     [](const ForkedChild& child) { return child.running(); });
}

void Supervisor::RequestStop() {
  stop_requested_ = true;
  for (ForkedChild& child : children_) child.RequestStop();
}

// Waits until a child ends or reports, a stop is requested, or the deadline passes. Passes a
// request to stop on to the children.
void Supervisor::Wait() {
  // poll ignores descriptors of -1.
  std::vector<pollfd> polled = {
      {stop_requested_ ? -1 : stop_event_.get(), POLLIN, 0},
      {stop_requested_ ? -1 : options_.stop_descriptor, POLLIN, 0},
  };
  for (const ForkedChild& child : children_) {
    if (!child.running()) continue;
    polled.push_back({child.pidfd(), POLLIN, 0});
    polled.push_back({child.control(), POLLIN, 0});
  }
  int timeout_ms = -1;
  if (!failure_.status().ok() && !killed_) {
    const auto left = Deadline() - SteadyClock::now();
    timeout_ms = static_cast<int>(
        std::clamp<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 0, 60'000));
  }
  if (poll(polled.data(), polled.size(), timeout_ms) <= 0) return;
  if (polled[0].revents != 0 || polled[1].revents != 0) RequestStop();
}

// Takes a child's report, or its end.
void Supervisor::Note(ForkedChild& child) {
  pollfd ended = {child.pidfd(), POLLIN, 0};
  if (poll(&ended, 1, 0) != 1) {
    if (std::optional<absl::Status> report = child.ReadReport()) {
      failure_.Add({.status = *report, .is_death = false, .signal = 0});
    }
    return;
  }
  const ForkedChild::End end = child.Reap();
  // The supervisor killed it, because of an earlier failure.
  if (!(end.is_death && killed_)) failure_.Add(end);
}

SteadyClock::time_point Supervisor::Deadline() const {
  constexpr std::chrono::seconds kAfterLoss(1);  // all survivors notice a loss at the same time
  constexpr absl::Duration kForever = absl::Hours(24 * 365);  // avoids an overflow of the sum
  const SteadyClock::time_point deadline =
      failure_.time() + absl::ToChronoMilliseconds(std::min(options_.patience, kForever));
  if (!failure_.loss_time().has_value()) return deadline;
  return std::min(deadline, *failure_.loss_time() + kAfterLoss);
}

void Supervisor::KillWhenPatienceEnds() {
  if (failure_.status().ok() || killed_ || SteadyClock::now() < Deadline()) return;
  killed_ = true;
  for (ForkedChild& child : children_) child.Kill();
}

absl::Status Supervisor::WaitForAll() {
  const int stop_event = stop_event_.get();
  const StopListener listener(options_.stop, [stop_event] { eventfd_write(stop_event, 1); });
  if (options_.stop.requested()) RequestStop();
  while (AnyRuns()) {
    Wait();
    for (ForkedChild& child : children_) {
      if (child.running()) Note(child);
    }
    KillWhenPatienceEnds();
  }
  if (options_.end_by_sigpipe && failure_.signal() == SIGPIPE) EndBySignal(SIGPIPE);
  return WithoutMark(failure_.status());
}

}  // namespace

absl::Status RunChildProcesses(const ChildProcessesOptions& options, ChildBody body) {
  HEADWAY_RETURN_IF_ERROR(CheckNoOtherThreads());
  Supervisor supervisor(options);
  HEADWAY_RETURN_IF_ERROR(supervisor.Start(body));
  return supervisor.WaitForAll();
}

}  // namespace headway::internal
