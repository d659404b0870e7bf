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

// Makes two stream sockets that are connected with each other.
absl::StatusOr<SocketPair> MakeSocketPair();

// The parent's side of a child process. The destructor kills the child if it is running.
class ForkedChild {
 public:
  struct End {
    absl::Status status;
    bool is_death;  // the child did not end by itself with a report
    int signal;     // that killed it; 0: none
  };

  ForkedChild(int process, pid_t pid, FileDescriptor control)
      : process_(process), pid_(pid), control_(std::move(control)) {}
  ForkedChild(ForkedChild&& other) noexcept;
  ForkedChild& operator=(ForkedChild&&) = delete;
  ~ForkedChild();

  // Opens the pidfd. REQUIRES: the first call.
  absl::Status Watch();

  bool running() const { return pid_ != 0; }
  // Readable when the child has ended.
  int pidfd() const { return pidfd_.get(); }
  // Readable when ReadReport has bytes to read; -1 after the last of them.
  int control() const { return control_.get(); }

  void RequestStop();
  void Kill();
  // Drops the child without killing it. For the process of a sibling.
  void Forget();

  // Reads the bytes that have arrived, and returns the report once it is complete.
  std::optional<absl::Status> ReadReport();
  // Returns how the child ended. REQUIRES: it has ended.
  End Reap();

 private:
  const int process_;
  pid_t pid_;  // 0: reaped or forgotten
  FileDescriptor control_;
  FileDescriptor pidfd_;
  ReportReader reader_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_FORKED_CHILD_H_
