#include "engine/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "comm/system/file_descriptor.h"
#include "engine/store/partition_lock.h"
#include "engine/store/sqlite_partition.h"
#include "engine/store/store.h"
#include "format.h"

namespace headway {
namespace internal {
namespace {

constexpr std::string_view kNew = ".new";

std::string NameOf(int index) { return Format("part-%d.sqlite3", index); }

// The partitions whose files are in the directory, by the numbers in their names.
struct Files {
  std::vector<int> complete;          // ascending
  std::vector<std::string> new_ones;  // all names of files of a store that is being made
};

absl::StatusOr<Files> ListFiles(const std::string& directory) {
  Files files;
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    constexpr std::string_view kPrefix = "part-";
    if (!name.starts_with(kPrefix)) continue;
    int index = 0;
    const auto [end, parse_error] =
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
    if (parse_error != std::errc() || index < 0) continue;
    if (name == NameOf(index)) {
      files.complete.push_back(index);
    } else if (name.starts_with(NameOf(index).append(kNew))) {
      files.new_ones.push_back(name);
    }
  }
  if (error) {
    return absl::PermissionDeniedError(Format(
        "cannot list the directory '%s' of the recovery store: %s", directory, error.message()));
  }
  std::sort(files.complete.begin(), files.complete.end());
  return files;
}

// Keeps other processes from making the store, or from looking at it while it is made. File
// systems without locks go without.
FileDescriptor LockDirectory(const std::string& directory, int operation) {
  FileDescriptor descriptor(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.is_open()) {
    while (flock(descriptor.get(), operation) != 0 && errno == EINTR) {
    }
  }
  return descriptor;
}

absl::Status CannotMake(const std::string& name, const std::string& error) {
  return absl::PermissionDeniedError(
      Format("cannot make '%s' for the recovery store: %s", name, error));
}

// Removes the files of an interrupted Create, unless a run has used one of them.
absl::Status RemoveHalfMade(const std::string& directory, const Files& files) {
  std::vector<std::string> paths;
  for (const std::string& name : files.new_ones) paths.push_back(Format("%s/%s", directory, name));
  for (const int index : files.complete) {
    const std::string& file = paths.emplace_back(Format("%s/%s", directory, NameOf(index)));
    const absl::StatusOr<SqlitePartition::Identity> identity = SqlitePartition::ReadIdentity(file);
    if (!identity.ok()) return identity.status();
    if (identity->is_used) {
      return absl::FailedPreconditionError(
          Format("'%s' has the partition '%s' of a recovery store and files of one that is being "
                 "made, such as '%s': remove the files that do not belong to the store",
                 directory, NameOf(index), files.new_ones.front()));
    }
  }
  for (const std::string& path : paths) {
    std::error_code error;
    std::filesystem::remove(path, error);
    if (error) return CannotMake(path, error.message());
  }
  return absl::OkStatus();
}

absl::Status CheckIdentities(const std::string& directory, const std::vector<int>& indices) {
  std::map<int, int> file_of;  // by partition
  std::optional<std::pair<int, SqlitePartition::Identity>> first;
  for (const int index : indices) {
    const absl::StatusOr<SqlitePartition::Identity> identity =
        SqlitePartition::ReadIdentity(directory + "/" + NameOf(index));
    if (!identity.ok()) return identity.status();
    if (!first) first = {index, *identity};
    const auto& [first_index, expected] = *first;
    if (identity->store_id != expected.store_id || identity->count != expected.count) {
      return absl::InvalidArgumentError(
          Format("the directory '%s' has partitions of different recovery stores: '%s' is of store "
                 "%s with %d partitions, '%s' of store %s with %d: use one directory for each "
                 "store",
                 directory, NameOf(first_index), expected.store_id, expected.count, NameOf(index),
                 identity->store_id, identity->count));
    }
    const auto [other, is_new] = file_of.emplace(identity->index, index);
    if (!is_new) {
      return absl::InvalidArgumentError(
          Format("the directory '%s' has partition %d of the recovery store twice, in '%s' and in "
                 "'%s': remove the copy",
                 directory, identity->index, NameOf(other->second), NameOf(index)));
    }
  }
  const int count = first->second.count;
  std::vector<std::string> missing;
  for (int index = 0; index < count; ++index) {
    if (!file_of.contains(index)) missing.push_back(Format("'%s'", NameOf(index)));
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        Format("the directory '%s' has %d of the %d partitions of the recovery store, without %s: "
               "put them there, or remove the whole store to start from the beginning",
               directory, indices.size(), count, absl::StrJoin(missing, ", ")));
  }
  for (const auto& [partition, index] : file_of) {
    if (partition == index) continue;
    return absl::InvalidArgumentError(
        Format("the file '%s' of the directory '%s' is partition %d of the recovery store: give "
               "it the name '%s'",
               NameOf(index), directory, partition, NameOf(partition)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string SqliteStore::Describe() const {
  return Format("the recovery store in '%s'", directory_);
}

std::string SqliteStore::FileOf(int index) const { return directory_ + "/" + NameOf(index); }

std::string SqliteStore::DescribePartition(int index) const {
  return Format("partition %d of %s", index, Describe());
}

absl::StatusOr<int> SqliteStore::PartitionCount() {
  const FileDescriptor lock = LockDirectory(directory_, LOCK_SH);
  const absl::StatusOr<Files> files = ListFiles(directory_);
  if (!files.ok()) return files.status();
  if (files->complete.empty() || !files->new_ones.empty()) return 0;
  absl::Status status = CheckIdentities(directory_, files->complete);
  if (!status.ok()) return status;
  return static_cast<int>(files->complete.size());
}

absl::Status SqliteStore::Create(int count, std::string_view store_id) {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) return CannotMake(directory_, error.message());
  const FileDescriptor lock = LockDirectory(directory_, LOCK_EX);
  if (!lock.is_open()) return CannotMake(directory_, std::strerror(errno));
  const absl::StatusOr<Files> files = ListFiles(directory_);
  if (!files.ok()) return files.status();
  if (!files->new_ones.empty()) {
    absl::Status status = RemoveHalfMade(directory_, *files);
    if (!status.ok()) return status;
  } else if (!files->complete.empty()) {
    return absl::FailedPreconditionError(
        Format("%s exists already: remove it first, or use another directory", Describe()));
  }

  // A new name says that the store is not complete. The last one goes when all files are durable.
  for (int index = 0; index < count; ++index) {
    SqlitePartition::Identity identity;
    identity.store_id = store_id;
    identity.index = index;
    identity.count = count;
    const std::string file = FileOf(index).append(kNew);
    absl::Status status = SqlitePartition::Create(file, identity);
    if (!status.ok()) return status;
    const FileDescriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!descriptor.is_open() || fsync(descriptor.get()) != 0) {
      return CannotMake(file, std::strerror(errno));
    }
  }
  if (fsync(lock.get()) != 0) return CannotMake(directory_, std::strerror(errno));
  for (int index = 0; index < count; ++index) {
    if (rename(FileOf(index).append(kNew).c_str(), FileOf(index).c_str()) != 0) {
      return CannotMake(FileOf(index), std::strerror(errno));
    }
  }
  if (fsync(lock.get()) != 0) return CannotMake(directory_, std::strerror(errno));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StorePartition>> SqliteStore::OpenToRead(int index) {
  return SqlitePartition::Open(FileOf(index), DescribePartition(index), std::nullopt,
                               busy_timeout_);
}

absl::StatusOr<std::unique_ptr<StorePartition>> SqliteStore::OpenToWrite(int index,
                                                                         std::string_view holder,
                                                                         bool takes_over) {
  absl::StatusOr<PartitionLock> lock = PartitionLock::Take(
      Format("%s/part-%d.lock", directory_, index), DescribePartition(index), holder, takes_over);
  if (!lock.ok()) return lock.status();
  return SqlitePartition::Open(FileOf(index), DescribePartition(index), *std::move(lock),
                               busy_timeout_);
}

}  // namespace internal

std::shared_ptr<RecoveryStore> StoreInDirectory(std::string directory) {
  return std::make_shared<internal::SqliteStore>(std::move(directory));
}

}  // namespace headway
