#include "engine/store/partition_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
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

bool IsSameHolder(std::string_view text, std::string_view other) {
  // The name of a host has no parenthesis.
  const auto holder_of = [](std::string_view of) {
    const size_t begin = of.find(" (");
    const size_t end = of.rfind(')');
    return begin < end && end != of.npos ? of.substr(begin, end - begin) : std::string_view();
  };
  return !holder_of(text).empty() && holder_of(text) == holder_of(other);
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
  if (lock.Try()) return lock;
  std::array<char, 512> bytes = {};
  const ssize_t size = pread(lock.file_.get(), bytes.data(), bytes.size(), 0);
  const std::string_view text(bytes.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  if (takes_over && IsSameHolder(text, lock.text_)) return lock;
  return absl::FailedPreconditionError(
      Format("%s is in use by %s: wait until it ends, or use another recovery store", description,
             text.empty() ? "another process" : text));
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
