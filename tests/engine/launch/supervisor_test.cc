#include "engine/launch/supervisor.h"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/runtime/failure_origin.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

namespace headway::internal {
namespace {

using Sockets = std::span<const int>;

// The report of a process that loses another one.
absl::Status LostProcess(int process) {
  return MarkLoss(absl::UnavailableError("lost process " + std::to_string(process)));
}

// Waits until the other end of the socket is closed.
absl::Status ReadUntilLost(int socket, int process) {
  char byte;
  while (read(socket, &byte, 1) > 0) {
  }
  return LostProcess(process);
}

void WaitForStop(const StopHandle& stop) {
  std::mutex mutex;
  std::condition_variable changed;
  const StopListener listener(stop, [&] {
    std::lock_guard lock(mutex);
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return stop.requested(); });
}

[[noreturn]] void PauseForever() {
  while (true) pause();
}

TEST_CASE("every process runs, connected with every other one, and the run is OK when all are") {
  constexpr int kProcesses = 5;
  Pipe sums;
  CheckOk(RunChildProcesses({.process_count = kProcesses}, [&](int process, Sockets sockets) {
    int sum = 0;
    for (int peer = 0; peer < kProcesses; ++peer) {
      if (peer == process) {
        if (sockets[peer] != -1) return absl::InternalError("a socket to itself");
        continue;
      }
      const int sent = process * 10 + peer;
      int received = 0;
      if (write(sockets[peer], &sent, sizeof sent) != sizeof sent ||
          read(sockets[peer], &received, sizeof received) != sizeof received ||
          received != peer * 10 + process) {
        return absl::InternalError("not connected");
      }
      sum += peer;
    }
    sums.Write(sum + process);
    return absl::OkStatus();
  }));
  for (int process = 0; process < kProcesses; ++process)
    CHECK(sums.Read<int>() == 0 + 1 + 2 + 3 + 4);
  CHECK_FALSE(HasChildren());
}

TEST_CASE("the error of a process is returned, with its code and a long message") {
  const std::string text(60'000, 'x');
  const absl::Status status =
      RunChildProcesses({.process_count = 3}, [&](int process, Sockets sockets) {
        if (process != 1) return ReadUntilLost(sockets[1], 1);
        return absl::NotFoundError("step 'parse' on worker 1: " + text);
      });
  CHECK(status == absl::NotFoundError("step 'parse' on worker 1: " + text));
  CHECK_FALSE(HasChildren());
}

TEST_CASE("an exception in a process is an error that names the process") {
  CheckError(RunChildProcesses({.process_count = 2},
                               [](int process, Sockets) -> absl::Status {
                                 if (process == 1) throw std::runtime_error("no luck");
                                 return absl::OkStatus();
                               }),
             absl::StatusCode::kAborted, {"process 1 threw: no luck"});
  CheckError(RunChildProcesses({.process_count = 2},
                               [](int process, Sockets) -> absl::Status {
                                 if (process == 0) throw 7;
                                 return absl::OkStatus();
                               }),
             absl::StatusCode::kAborted, {"process 0 threw", "no std::exception"});
}

TEST_CASE("a process that is killed is named, whatever the survivors report first") {
  for (int victim = 0; victim < 3; ++victim) {
    const absl::Status status =
        RunChildProcesses({.process_count = 3}, [victim](int process, Sockets sockets) {
          if (process == victim) kill(getpid(), SIGKILL);
          return ReadUntilLost(sockets[victim], victim);
        });
    CHECK(status == absl::UnavailableError("process " + std::to_string(victim) +
                                           " was killed by signal 9 (Killed)"));
    CHECK_FALSE(HasChildren());
  }
}

TEST_CASE("a crash is an error that names the signal") {
  const rlimit no_core = {0, 0};
  const absl::Status status = RunChildProcesses({}, [&](int, Sockets) -> absl::Status {
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  CheckError(status, absl::StatusCode::kUnavailable, {"process 0", "signal 6 (Aborted)"});
}

TEST_CASE("a process that ends without a result is an error that names its exit code") {
  const absl::Status status =
      RunChildProcesses({.process_count = 2}, [](int process, Sockets) -> absl::Status {
        if (process == 1) _exit(3);
        return absl::OkStatus();
      });
  CheckError(status, absl::StatusCode::kUnavailable,
             {"process 1 ended without a result", "exit code 3"});
}

TEST_CASE("the cause of a failure is returned, though others have reported that they lost it") {
  for (const absl::Status& cause :
       {absl::AbortedError("the cause"), absl::UnavailableError("the cause")}) {
    const absl::Status status =
        RunChildProcesses({.process_count = 2}, [&](int process, Sockets sockets) {
          if (process == 1) return ReadUntilLost(sockets[0], 0);
          shutdown(sockets[1], SHUT_WR);
          ReadUntilLost(sockets[1], 1).IgnoreError();  // it has ended, and so reported, before this
          return cause;
        });
    CHECK(status == cause);
  }
}

TEST_CASE("of several processes that lost another one, the first is returned") {
  const absl::Status status =
      RunChildProcesses({.process_count = 2}, [](int process, Sockets sockets) {
        if (process == 0) return MarkLoss(absl::UnavailableError("first"));
        ReadUntilLost(sockets[0], 0).IgnoreError();
        return MarkLoss(absl::UnavailableError("second"));
      });
  CHECK(status == absl::UnavailableError("first"));
}

TEST_CASE("a process that hangs after the failure of another one is killed when patience ends") {
  for (const bool frozen : {false, true}) {
    const absl::Status status =
        RunChildProcesses({.process_count = 3, .patience = absl::Milliseconds(50)},
                          [frozen](int process, Sockets) -> absl::Status {
                            if (process == 1) return absl::AbortedError("the cause");
                            if (frozen) kill(getpid(), SIGSTOP);
                            PauseForever();
                          });
    CHECK(status == absl::AbortedError("the cause"));
    CHECK_FALSE(HasChildren());
  }
}

TEST_CASE(
    "a process that hangs after the loss of another one is killed long before patience ends") {
  const absl::Status status =
      RunChildProcesses({.process_count = 2, .patience = absl::InfiniteDuration()},
                        [](int process, Sockets) -> absl::Status {
                          if (process == 1) return LostProcess(0);
                          PauseForever();
                        });
  CHECK(status == absl::UnavailableError("lost process 0"));
  CHECK_FALSE(HasChildren());
  const absl::Status killed =
      RunChildProcesses({.process_count = 2, .patience = absl::InfiniteDuration()},
                        [](int process, Sockets) -> absl::Status {
                          if (process == 1) raise(SIGKILL);
                          PauseForever();
                        });
  CHECK(killed == absl::UnavailableError("process 1 was killed by signal 9 (Killed)"));
  CHECK_FALSE(HasChildren());
}

TEST_CASE("survivors have time to end by themselves after a failure") {
  Pipe ended;
  const absl::Status status =
      RunChildProcesses({.process_count = 2}, [&](int process, Sockets sockets) -> absl::Status {
        if (process == 0) return absl::AbortedError("the cause");
        ReadUntilLost(sockets[0], 0).IgnoreError();
        ended.Write(process);
        return absl::OkStatus();
      });
  CHECK(status == absl::AbortedError("the cause"));
  CHECK(ended.Read<int>() == 1);
}

TEST_CASE("a stop that was requested before reaches every process") {
  StopHandle stop;
  stop.RequestStop();
  CheckOk(RunChildProcesses({.process_count = 3, .stop = stop}, [&](int, Sockets) {
    WaitForStop(stop);
    return absl::OkStatus();
  }));
}

TEST_CASE("a descriptor that becomes readable stops every process") {
  Pipe stop_pipe;
  StopHandle stop;
  CheckOk(
      RunChildProcesses({.process_count = 3, .stop = stop, .stop_descriptor = stop_pipe.out.get()},
                        [&](int process, Sockets) {
                          if (process == 1) stop_pipe.Write('x');
                          WaitForStop(stop);
                          return absl::OkStatus();
                        }));
  CHECK_FALSE(stop.requested());  // the parent's is left alone
}

TEST_CASE("a program that has another thread cannot fork, and can once it has ended") {
  std::promise<void> end;
  std::thread other([&] { end.get_future().wait(); });
  const auto run = [] {
    return RunChildProcesses({}, [](int, Sockets) { return absl::OkStatus(); });
  };
  CheckError(run(), absl::StatusCode::kFailedPrecondition, {"other threads", "before"});
  end.set_value();
  other.join();
  CheckOk(run());
}

// jemalloc names its thread so. The sanitizers allow no threads in the children then.
TEST_CASE("a thread of the memory allocator does not prevent a fork") {
  if (kSanitized) return;
  std::promise<void> named;
  std::promise<void> end;
  std::thread other([&] {
    pthread_setname_np(pthread_self(), "jemalloc_bg_thd");
    named.set_value();
    end.get_future().wait();
  });
  named.get_future().wait();
  CheckOk(RunChildProcesses({.process_count = 2}, [](int, Sockets) { return absl::OkStatus(); }));
  end.set_value();
  other.join();
}

TEST_CASE("what was printed before is printed once, and what the processes print is not lost") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  std::fprintf(file, "before\n");
  CheckOk(RunChildProcesses({.process_count = 2}, [&](int, Sockets) {
    std::fprintf(file, "child\n");
    return absl::OkStatus();
  }));
  std::rewind(file);
  char text[64] = {};
  std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  CHECK(std::string(text) == "before\nchild\nchild\n");
}

TEST_CASE("output that cannot be written is an error") {
  std::FILE* full = std::fopen("/dev/full", "w");
  REQUIRE(full != nullptr);
  CheckError(RunChildProcesses({},
                               [&](int, Sockets) {
                                 std::fprintf(full, "lost");
                                 return absl::OkStatus();
                               }),
             absl::StatusCode::kDataLoss, {"process 0", "No space left"});
  std::fclose(full);
}

TEST_CASE("runs leave no descriptor and no child behind, and can follow each other") {
  const ptrdiff_t before = OpenDescriptorCount();
  for (int run = 0; run < 3; ++run) {
    CheckOk(RunChildProcesses({.process_count = 4}, [](int, Sockets) { return absl::OkStatus(); }));
  }
  CHECK(OpenDescriptorCount() == before);
  CHECK_FALSE(HasChildren());
}

TEST_CASE("too many processes for the limit on open files is an error that leaves nothing behind") {
  const ptrdiff_t before = OpenDescriptorCount();
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit low = {64, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &low);
  const absl::Status status =
      RunChildProcesses({.process_count = 20}, [](int, Sockets) { return absl::OkStatus(); });
  setrlimit(RLIMIT_NOFILE, &limit);
  CheckError(status, absl::StatusCode::kResourceExhausted, {"Too many open files", "ulimit -n"});
  CHECK(OpenDescriptorCount() == before);
  CHECK_FALSE(HasChildren());
}

TEST_CASE("what asks the program to end is ignored by its children if the program handles it") {
  const auto raise_in_child = [](int number) {
    return RunChildProcesses({}, [number](int, Sockets) {
      raise(number);
      return absl::OkStatus();
    });
  };
  const auto handler_of_doctest = signal(SIGTERM, SIG_DFL);
  CheckError(raise_in_child(SIGTERM), absl::StatusCode::kUnavailable, {"signal 15 (Terminated)"});

  signal(SIGTERM, [](int) {});
  CheckOk(raise_in_child(SIGTERM));
  signal(SIGTERM, SIG_DFL);

  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, nullptr);
  CheckOk(raise_in_child(SIGTERM));
  sigset_t still_blocked;
  sigprocmask(SIG_UNBLOCK, &terminate, &still_blocked);
  CHECK(sigismember(&still_blocked, SIGTERM) == 1);

  signal(SIGUSR1, [](int) {});
  CheckError(raise_in_child(SIGUSR1), absl::StatusCode::kUnavailable, {"signal 10"});
  signal(SIGUSR1, SIG_DFL);
  signal(SIGTERM, handler_of_doctest);
}

TEST_CASE("no child outlives its parent, whichever signal ends it") {
  AdoptOrphans();
  constexpr int kProcesses = 3;
  for (const int number : {SIGKILL, SIGINT, SIGTERM}) {
    for (const bool whole_group : {false, true}) {
      CAPTURE(number);
      CAPTURE(whole_group);
      Pipe pids;
      const pid_t program = StartProgram([&] {
        RunChildProcesses({.process_count = kProcesses}, [&](int, Sockets) -> absl::Status {
          pids.Write(getpid());
          PauseForever();
        }).IgnoreError();
      });
      std::vector<FileDescriptor> children;
      for (int i = 0; i < kProcesses; ++i) children.push_back(Watch(pids.Read<pid_t>()));
      kill(whole_group ? -program : program, number);
      CHECK(Ends(Watch(program)));  // first, so that its children are this process's to reap
      for (const FileDescriptor& child : children) CHECK(Ends(child));
      CHECK_FALSE(HasChildren());
    }
  }
}

}  // namespace
}  // namespace headway::internal
