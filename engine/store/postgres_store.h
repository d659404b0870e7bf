#ifndef HEADWAY_ENGINE_STORE_POSTGRES_STORE_H_
#define HEADWAY_ENGINE_STORE_POSTGRES_STORE_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/postgres_place.h"
#include "engine/store/store.h"

namespace headway::internal {

class PostgresConnection;

// StoreInPostgres. The tables of all stores of a database are in the first schema of its search
// path: headway_stores, headway_partitions, headway_generations, headway_steps, headway_runs,
// headway_blocks. Without libpq every call is Unimplemented.
class PostgresStore : public RecoveryStore {
 public:
  explicit PostgresStore(absl::StatusOr<PostgresPlace> place);

  std::string Describe() const override { return description_; }
  absl::StatusOr<int> PartitionCount() override;
  absl::Status Create(int count, std::string_view store_id) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToRead(int index) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToWrite(int index, std::string_view holder,
                                                              bool takes_over) override;

 private:
  absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect();
  absl::Status CreateInTransaction(PostgresConnection& connection, int count,
                                   std::string_view store_id);
  std::string DescribePartition(int index) const;

  const absl::StatusOr<PostgresPlace> place_;
  std::string description_;
  // A server that has answered once is waited for, since it may be restarting. A wrong address is
  // an error at once.
  std::atomic<bool> has_connected_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_POSTGRES_STORE_H_
