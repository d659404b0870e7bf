#ifndef HEADWAY_ENGINE_LAUNCH_FORKED_CHILD_H_
#define HEADWAY_ENGINE_LAUNCH_FORKED_CHILD_H_

#include <sys/types.h>

#include <array>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"
#include "engine/launch/child_process.h"

namespace headway::internal {

using SocketPair = std::array<FileDescriptor, 2>;

// Two stream sockets that are connected with each other.
absl::StatusOr<SocketPair> MakeSocketPair();

// The parent's side of a child process. It kills the child, if it still runs, when it goes.
class ForkedChild {
 public:
  struct End {
    absl::Status status;
    bool is_death;  // it did not end by itself, with a report
  };

  ForkedChild(int process, pid_t pid, FileDescriptor control)
      : process_(process), pid_(pid), control_(std::move(control)) {}
  ForkedChild(ForkedChild&& other) noexcept;
  ForkedChild& operator=(ForkedChild&&) = delete;
  ~ForkedChild();

  // To be called first.
  absl::Status Watch();

  bool running() const { return pid_ != 0; }
  // Readable when the child has ended.
  int pidfd() const { return pidfd_.get(); }
  // Readable when there is something for ReadReport; -1 when there will be no more.
  int control() const { return control_.get(); }

  void RequestStop();
  void Kill();
  // In the process of another child, which has no business with this one.
  void Forget();

  // Takes what the child has reported so far, and returns its report once that is complete.
  std::optional<absl::Status> ReadReport();
  // REQUIRES: it has ended.
  End Reap();

 private:
  const int process_;
  pid_t pid_;  // 0 once it has been reaped
  FileDescriptor control_;
  FileDescriptor pidfd_;
  ReportReader reader_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_FORKED_CHILD_H_
