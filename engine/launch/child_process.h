#ifndef HEADWAY_ENGINE_LAUNCH_CHILD_PROCESS_H_
#define HEADWAY_ENGINE_LAUNCH_CHILD_PROCESS_H_

#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/system/file_descriptor.h"
#include "engine/runtime/config.h"

namespace headway::internal {

// What a child process does: `sockets[p]` is its connection to process p, -1 for itself.
using ChildBody = absl::FunctionRef<absl::Status(int process, std::span<const int> sockets)>;

// The child's side of a fork, up to the end of the process.
//
// Over the control socket the parent asks for a graceful stop with one byte, and the child reports
// how it ended: the report is all that it ever writes.
struct ChildProcess {
  int process = 0;
  pid_t parent = 0;  // who forked it
  FileDescriptor control;
  std::vector<FileDescriptor> sockets;
  StopHandle stop;  // asked when the parent asks

  // Runs `body`, reports its status (what it throws becomes one) and ends this process. The child
  // is killed when its parent ends. Handlers of the parent do not run in it: a signal by which the
  // parent is asked to end (SIGINT, SIGTERM, SIGHUP, SIGQUIT) and that it handles, blocks or
  // ignores is the parent's to deal with, and ignored here; others have their default action again.
  // Only handlers for crashes stay.
  //
  // REQUIRES: every signal is blocked, so that no handler runs between the fork and this call.
  [[noreturn]] void Run(const sigset_t& blocked_by_parent, ChildBody body) &&;
};

// Reads a child's report, which comes in pieces.
class ReportReader {
 public:
  void Append(std::span<const std::byte> bytes);
  // The report, once it is complete.
  std::optional<absl::Status> Report() const;

 private:
  std::string bytes_;
};

// The bytes of a report, as ReportReader reads them.
std::string EncodeReport(const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_CHILD_PROCESS_H_
