#ifndef HEADWAY_TESTS_ENGINE_LAUNCH_PROCESS_HARNESS_H_
#define HEADWAY_TESTS_ENGINE_LAUNCH_PROCESS_HARNESS_H_

#include <doctest/doctest.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

#include "comm/system/file_descriptor.h"

namespace headway {

// Limit of a wait that only a defect makes long: the test fails then, instead of hanging.
inline constexpr int kGiveUpMs = 20'000;

// A pipe; children of the test inherit both ends.
struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    out = internal::FileDescriptor(ends[0]);
    in = internal::FileDescriptor(ends[1]);
  }
  template <class T>
  void Write(const T& value) {
    if (write(in.get(), &value, sizeof value) != ssize_t{sizeof value}) std::abort();
  }
  template <class T>
  T Read() {
    pollfd readable = {out.get(), POLLIN, 0};
    T value;
    REQUIRE(poll(&readable, 1, kGiveUpMs) == 1);
    REQUIRE(read(out.get(), &value, sizeof value) == ssize_t{sizeof value});
    return value;
  }

  internal::FileDescriptor out;
  internal::FileDescriptor in;
};

// Forks a process that runs `body`, a program of its own as it were, in a process group of its own.
inline pid_t StartProgram(const std::function<void()>& body) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid != 0) return pid;
  setpgid(0, 0);
  for (const int number : {SIGINT, SIGTERM}) signal(number, SIG_DFL);  // not doctest's handlers
  body();
  _exit(0);
}

// Children of a child that ends become this process's own, so that it can see how they end.
inline void AdoptOrphans() { REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); }

// Waits for the process to end, and takes it away if it is a child. Returns whether it ended.
inline bool Ends(const internal::FileDescriptor& pidfd) {
  pollfd ended = {pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, kGiveUpMs) != 1) return false;
  siginfo_t info;
  waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED);
  return true;
}

inline internal::FileDescriptor Watch(pid_t pid) {
  internal::FileDescriptor pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  REQUIRE(pidfd.is_open());
  return pidfd;
}

inline bool HasChildren() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

inline ptrdiff_t OpenDescriptorCount() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return std::distance(begin(descriptors), end(descriptors));
}

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_LAUNCH_PROCESS_HARNESS_H_
