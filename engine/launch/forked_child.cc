#include "engine/launch/forked_child.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {

absl::StatusOr<SocketPair> MakeSocketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "cannot connect the processes: %s; use fewer processes, or allow more open files (ulimit "
        "-n)",
        std::strerror(errno)));
  }
  return SocketPair{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

ForkedChild::ForkedChild(ForkedChild&& other) noexcept
    : process_(other.process_),
      pid_(std::exchange(other.pid_, 0)),
      control_(std::move(other.control_)),
      pidfd_(std::move(other.pidfd_)),
      reader_(std::move(other.reader_)) {}

ForkedChild::~ForkedChild() {
  if (!running()) return;
  Kill();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

absl::Status ForkedChild::Watch() {
  // Not pidfd_open: the header of glibc 2.36 is not for C++.
  pidfd_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (pidfd_.is_open()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("cannot watch process %d: pidfd_open: %s; allow more open files (ulimit -n)",
                      process_, std::strerror(errno)));
}

void ForkedChild::RequestStop() {
  if (control_.is_open()) send(control_.get(), "s", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void ForkedChild::Kill() {
  if (!running()) return;
  if (pidfd_.is_open()) {
    // If the program ignores SIGCHLD, another process may have the id by now.
    syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  } else {
    kill(pid_, SIGKILL);
  }
}

void ForkedChild::Forget() {
  pid_ = 0;
  control_.Close();
  pidfd_.Close();
}

std::optional<absl::Status> ForkedChild::ReadReport() {
  std::byte buffer[4096];
  while (control_.is_open()) {
    const ssize_t count = recv(control_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) {
      reader_.Append({buffer, static_cast<size_t>(count)});
    } else if (count < 0 && errno == EAGAIN) {
      break;
    } else if (count == 0 || errno != EINTR) {
      control_.Close();
    }
  }
  return reader_.Report();
}

ForkedChild::End ForkedChild::Reap() {
  const std::optional<absl::Status> report = ReadReport();
  siginfo_t info = {};
  int result;
  do {
    result = waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  pid_ = 0;
  const bool was_killed = result == 0 && info.si_code != CLD_EXITED;
  if (!was_killed && report.has_value()) return {.status = *report, .is_death = false, .signal = 0};

  std::string what;
  if (result != 0) {
    what = "ended without a result, and its exit code was taken by other code of the program";
  } else if (was_killed) {
    const char* description = sigdescr_np(info.si_status);
    what = absl::StrFormat("was killed by signal %d (%s)", info.si_status,
                           description != nullptr ? description : "unknown");
  } else {
    what = absl::StrFormat("ended without a result, with exit code %d; does a step call exit()?",
                           info.si_status);
  }
  return {.status = absl::UnavailableError(absl::StrFormat("process %d %s", process_, what)),
          .is_death = true,
          .signal = was_killed ? info.si_status : 0};
}

}  // namespace headway::internal
