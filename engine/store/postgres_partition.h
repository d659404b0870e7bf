#ifndef HEADWAY_ENGINE_STORE_POSTGRES_PARTITION_H_
#define HEADWAY_ENGINE_STORE_POSTGRES_PARTITION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/postgres.h"
#include "engine/store/postgres_place.h"
#include "engine/store/store.h"

namespace headway::internal {

// A partition in tables of PostgreSQL. A lost connection is made again, and the transaction that
// it interrupted repeated, until PostgresPlace::timeout has passed.
class PostgresPartition : public StorePartition {
 public:
  // `holder`: nullopt to read. `description`: of the partition, for messages. FailedPrecondition:
  // another connection has the lock of the partition.
  static absl::StatusOr<std::unique_ptr<StorePartition>> Open(
      std::unique_ptr<PostgresConnection> connection, const PostgresPlace& place, int index,
      std::string description, std::optional<std::string> holder, bool takes_over);

  ~PostgresPartition() override;

  std::string Describe() const override { return description_; }
  absl::StatusOr<PartitionContents> ReadContents() override;
  absl::StatusOr<std::vector<StoredBlock>> ListBlocks(int64_t run) override;
  absl::StatusOr<std::string> ReadBlock(int64_t run, size_t number) override;
  absl::Status Apply(const PartitionChange& change) override;

 private:
  PostgresPartition(std::unique_ptr<PostgresConnection> connection, PostgresPlace place, int index,
                    std::string description, std::optional<std::string> holder)
      : connection_(std::move(connection)),
        place_(std::move(place)),
        index_(index),
        description_(std::move(description)),
        holder_(std::move(holder)) {}

  // Runs the action, again with a new connection if it is Unavailable.
  absl::Status WithConnection(absl::FunctionRef<absl::Status()> action);
  absl::Status Reconnect();
  // Tries to lock the partition. Returns whether this connection has the lock.
  absl::StatusOr<bool> TryLock();
  // FailedPrecondition: another connection has the lock.
  absl::Status Lock(bool takes_over, const std::string& holder);
  // Ends the connection that has the lock. Its process may be stopped, in a transaction.
  absl::Status EndHolder();
  absl::StatusOr<std::string> ReadHolder();

  absl::Status ReadTables(PartitionContents* contents);
  absl::Status InTransaction(const char* begin, absl::FunctionRef<absl::Status()> action);
  absl::Status ApplyInTransaction(const PartitionChange& change);
  absl::Status AddRun(const PartitionChange::NewRun& added);
  absl::Status Gone(int64_t run) const;

  std::unique_ptr<PostgresConnection> connection_;  // null: lost
  PostgresPlace place_;
  int index_;
  std::string description_;
  std::optional<std::string> holder_;
  bool has_lock_ = false;  // or had it with the connection that was lost
  std::string lock_text_;  // the holder in the table, if this is it
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_POSTGRES_PARTITION_H_
