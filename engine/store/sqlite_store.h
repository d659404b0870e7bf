#ifndef HEADWAY_ENGINE_STORE_SQLITE_STORE_H_
#define HEADWAY_ENGINE_STORE_SQLITE_STORE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/store/store.h"

namespace headway::internal {

// StoreInDirectory. The files of the store:
//   part-I.sqlite3      partition I, with the files -wal and -shm of SQLite next to it
//   part-I.lock         the lock of its writer (PartitionLock)
//   part-I.sqlite3.new  only while the store is being made
class SqliteStore : public RecoveryStore {
 public:
  // `busy_timeout`: how long to wait for other programs that have locked a file. A process that is
  // stopped for some seconds may have one.
  explicit SqliteStore(std::string directory, absl::Duration busy_timeout = absl::Seconds(10))
      : directory_(std::move(directory)), busy_timeout_(busy_timeout) {}

  std::string Describe() const override;
  absl::StatusOr<int> PartitionCount() override;
  absl::Status Create(int count, std::string_view store_id) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToRead(int index) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToWrite(int index, std::string_view holder,
                                                              bool takes_over) override;

 private:
  std::string FileOf(int index) const;
  std::string DescribePartition(int index) const;

  const std::string directory_;
  const absl::Duration busy_timeout_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_SQLITE_STORE_H_
