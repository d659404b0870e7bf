#ifndef HEADWAY_ENGINE_STORE_SQLITE_PARTITION_H_
#define HEADWAY_ENGINE_STORE_SQLITE_PARTITION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/store/partition_lock.h"
#include "engine/store/sqlite.h"
#include "engine/store/store.h"

namespace headway::internal {

// A partition in a SQLite file. docs/recovery-format.md describes the tables.
class SqlitePartition : public StorePartition {
 public:
  // The place of a partition in its store.
  struct Identity {
    std::string store_id;
    int index = 0;
    int count = 0;
    bool is_used = false;  // a run has begun with it
  };

  // Makes the file of an empty partition. It is not durable yet.
  static absl::Status Create(const std::string& file, const Identity& identity);
  // Reads the identity of a partition. InvalidArgument: the file is no partition.
  static absl::StatusOr<Identity> ReadIdentity(const std::string& file);
  // `lock`: nullopt to read. `description`: of the partition, for messages.
  static absl::StatusOr<std::unique_ptr<StorePartition>> Open(const std::string& file,
                                                              std::string description,
                                                              std::optional<PartitionLock> lock,
                                                              absl::Duration busy_timeout);
  ~SqlitePartition() override;

  std::string Describe() const override { return description_; }
  absl::StatusOr<PartitionContents> ReadContents() override;
  absl::StatusOr<std::vector<StoredBlock>> ListBlocks(int64_t run) override;
  absl::StatusOr<std::string> ReadBlock(int64_t run, size_t number) override;
  absl::Status Apply(const PartitionChange& change) override;

 private:
  SqlitePartition(std::unique_ptr<SqliteDatabase> database, std::string description,
                  std::optional<PartitionLock> lock)
      : database_(std::move(database)),
        description_(std::move(description)),
        lock_(std::move(lock)) {}

  absl::Status ReadTables(PartitionContents* contents);
  absl::Status ApplyInTransaction(const PartitionChange& change);
  absl::Status AddRun(const PartitionChange::NewRun& run);
  absl::Status GiveBackPages();
  absl::Status Gone(int64_t run) const;

  std::unique_ptr<SqliteDatabase> database_;
  std::string description_;
  std::optional<PartitionLock> lock_;
  std::optional<SqliteStatement> read_block_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_SQLITE_PARTITION_H_
