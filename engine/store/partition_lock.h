#ifndef HEADWAY_ENGINE_STORE_PARTITION_LOCK_H_
#define HEADWAY_ENGINE_STORE_PARTITION_LOCK_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// A text about the holder of a lock: this process, its host and `holder`.
std::string HolderText(std::string_view holder);
// Whether two such texts, whatever was added to them, have the same `holder`.
bool IsSameHolder(std::string_view text, std::string_view other);

// The lock of the writer of a partition: a lock of the operating system on a file next to it, which
// ends with the process. The file has a text about its holder, and stays.
class PartitionLock {
 public:
  // FailedPrecondition: another process has the lock. `takes_over`: if it has the same `holder`,
  // this one works without the lock until that process ends.
  static absl::StatusOr<PartitionLock> Take(const std::string& file, std::string_view description,
                                            std::string_view holder, bool takes_over);

  // Tries to get the lock, if Take did not.
  void TryAgain();

 private:
  PartitionLock(FileDescriptor file, std::string text)
      : file_(std::move(file)), text_(std::move(text)) {}

  // Returns false if another process has the lock.
  bool Try();

  FileDescriptor file_;
  std::string text_;
  bool is_held_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_PARTITION_LOCK_H_
