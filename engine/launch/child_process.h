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

// The work of a child process. `sockets[p]` is its connection to process p, -1 for itself.
using ChildBody = absl::FunctionRef<absl::Status(int process, std::span<const int> sockets)>;

// The child's side of a fork, up to the end of the process.
//
// The control socket carries one byte from the parent, the request for a graceful stop, and one
// report from the child, its status.
struct ChildProcess {
  int process = 0;
  pid_t parent = 0;  // of this child
  FileDescriptor control;
  std::vector<FileDescriptor> sockets;
  StopHandle stop;  // requested when the parent requests a stop

  // Runs `body`, reports its status (or its exception) and ends this process. The child is killed
  // when its parent ends.
  //
  // Handlers of the parent do not run in the child. SIGINT, SIGTERM, SIGHUP and SIGQUIT are ignored
  // if the parent handles, blocks or ignores them: they are for the parent. Handlers for crashes
  // stay. Every other signal has its default action.
  //
  // REQUIRES: every signal is blocked, so that no handler runs between the fork and this call.
  [[noreturn]] void Run(const sigset_t& blocked_by_parent, ChildBody body) &&;
};

// Assembles a child's report from the pieces that arrive.
class ReportReader {
 public:
  void Append(std::span<const std::byte> bytes);
  // Returns the report once it is complete.
  std::optional<absl::Status> Report() const;

 private:
  std::string bytes_;
};

// Returns the bytes that ReportReader reads.
std::string EncodeReport(const absl::Status& status);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_CHILD_PROCESS_H_
