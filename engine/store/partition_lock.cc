#include "engine/store/partition_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format.h"

namespace headway::internal {

std::string HolderText(std::string_view holder) {
  std::array<char, 256> host = {};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return Format("process %d on host '%s' (%s)", static_cast<int>(getpid()), host.data(), holder);
}

absl::StatusOr<PartitionLock> PartitionLock::Take(const std::string& file,
                                                  std::string_view description,
                                                  std::string_view holder, bool takes_over) {
  FileDescriptor descriptor(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!descriptor.is_open()) {
    return absl::PermissionDeniedError(
        Format("cannot write the lock '%s' (%s): allow the run to write the directory", file,
               std::strerror(errno)));
  }
  PartitionLock lock(std::move(descriptor), HolderText(holder));
  if (!lock.Try() && !takes_over) {
    std::array<char, 512> text = {};
    const ssize_t size = pread(lock.file_.get(), text.data(), text.size(), 0);
    return absl::FailedPreconditionError(
        Format("%s is in use by %s: wait until it ends, or use another recovery store", description,
               size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "another process"));
  }
  return lock;
}

void PartitionLock::TryAgain() {
  if (!is_held_) Try();
}

bool PartitionLock::Try() {
  // File systems without locks leave the comparison of generations.
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) return errno != EWOULDBLOCK;
  is_held_ = true;
  // The text is for people; a full disk must not keep the lock from its holder.
  if (ftruncate(file_.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t size = pwrite(file_.get(), text_.data(), text_.size(), 0);
  }
  return true;
}

}  // namespace headway::internal
