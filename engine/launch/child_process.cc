#include "engine/launch/child_process.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "comm/system/output.h"
#include "engine/runtime/failure_origin.h"

namespace headway::internal {
namespace {

struct ReportHeader {
  uint32_t code;
  uint16_t is_loss;
  uint16_t is_told;
  uint32_t message_bytes;
};

// Longer messages are cut, so that a report always fits in the parent's memory.
constexpr size_t kMaxMessageBytes = size_t{64} << 10;

bool AsksToEnd(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

bool MarksCrash(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
         signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

void ResetSignals(const sigset_t& blocked_by_parent) {
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action;
    if (MarksCrash(signal) || sigaction(signal, nullptr, &action) != 0) continue;
    const bool is_default = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL;
    const bool is_ignored = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
    if (AsksToEnd(signal) && (!is_default || sigismember(&blocked_by_parent, signal) == 1)) {
      sigaction(signal, &ignore, nullptr);
    } else if (!is_default && !is_ignored) {
      sigaction(signal, &default_action, nullptr);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Requests the stop when the parent does, on a thread that ends with the process.
// ResourceExhausted: the system is out of threads.
absl::Status ListenForStop(int process, int control, const StopHandle& stop) {
  try {
    std::thread([control, stop = StopHandle(stop)]() mutable {
      char byte;
      ssize_t count;
      do {
        count = read(control, &byte, 1);
      } while (count < 0 && errno == EINTR);
      if (count == 1) stop.RequestStop();
    }).detach();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("process %d cannot start the thread that waits for a request to stop: %s; "
                        "use fewer processes, or allow more threads (ulimit -u)",
                        process, error.what()));
  }
  return absl::OkStatus();
}

absl::Status RunBody(int process, std::span<const int> sockets, ChildBody body) {
  try {
    return body(process, sockets);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return absl::AbortedError(absl::StrFormat("process %d threw: %s", process, error.what()));
  } catch (...) {
    return absl::AbortedError(
        absl::StrFormat("process %d threw an exception that is no std::exception", process));
  }
}

// The output of the program is part of its result, and writing it can fail.
absl::Status FlushOutput(int process) {
  const bool failed_before = std::ferror(stdout) != 0 || std::cout.bad();
  // The first failure has the reason: the two may share a buffer.
  if (FlushStream(stdout) == 0 && std::fflush(nullptr) == 0 && std::cout.flush() && !failed_before)
    return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("process %d could not write its output: %s", process,
                      failed_before ? "an earlier write failed" : std::strerror(errno)));
}

void SendReport(int control, std::string_view report) {
  for (size_t sent = 0; sent < report.size();) {
    const ssize_t count = send(control, report.data() + sent, report.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return;  // the parent is gone, and ends this process
    if (count > 0) sent += static_cast<size_t>(count);
  }
}

// Reports a lack of memory, without memory.
void ReportOutOfMemory(int control, int process) {
  char report[sizeof(ReportHeader) + 64];
  char* const message = report + sizeof(ReportHeader);
  const int size = std::snprintf(message, 64, "process %d is out of memory", process);
  const ReportHeader header = {.code = static_cast<uint32_t>(absl::StatusCode::kResourceExhausted),
                               .is_loss = false,
                               .is_told = false,
                               .message_bytes = static_cast<uint32_t>(size)};
  std::memcpy(report, &header, sizeof header);
  SendReport(control, {report, sizeof header + header.message_bytes});
}

}  // namespace

void ChildProcess::Run(const sigset_t& blocked_by_parent, ChildBody body) && {
  // The request has no effect if the parent has ended before it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  ResetSignals(blocked_by_parent);

  int exit_code = 1;
  try {
    std::vector<int> descriptors;
    for (FileDescriptor& socket : sockets) descriptors.push_back(socket.Release());
    absl::Status status = RunBody(process, descriptors, [&](int own, std::span<const int> others) {
      if (absl::Status listening = ListenForStop(own, control.get(), stop); !listening.ok()) {
        return listening;
      }
      return body(own, others);
    });
    status.Update(FlushOutput(process));
    SendReport(control.get(), EncodeReport(status));
    exit_code = status.ok() ? 0 : 1;
  } catch (const std::bad_alloc&) {
    ReportOutOfMemory(control.get(), process);
  }
  // Destructors of static objects and functions registered with atexit run in the parent.
  _exit(exit_code);
}

std::string EncodeReport(const absl::Status& status) {
  const ReportHeader header = {
      .code = static_cast<uint32_t>(status.raw_code()),
      .is_loss = IsLoss(status),
      .is_told = IsTold(status),
      .message_bytes = static_cast<uint32_t>(std::min(status.message().size(), kMaxMessageBytes))};
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.append(status.message().data(), header.message_bytes);
  return bytes;
}

void ReportReader::Append(std::span<const std::byte> bytes) {
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::optional<absl::Status> ReportReader::Report() const {
  ReportHeader header;
  if (bytes_.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes_.data(), sizeof header);
  if (bytes_.size() < sizeof header + header.message_bytes) return std::nullopt;
  absl::Status status(static_cast<absl::StatusCode>(header.code),
                      bytes_.substr(sizeof header, header.message_bytes));
  if (header.is_loss != 0) status = MarkLoss(std::move(status));
  return header.is_told != 0 ? MarkTold(std::move(status)) : status;
}

}  // namespace headway::internal
