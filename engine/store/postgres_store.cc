#include "engine/store/postgres_store.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/store/partition_lock.h"
#include "engine/store/postgres_place.h"
#include "engine/store/store.h"
#include "format.h"

#ifdef HEADWAY_HAS_POSTGRES
#include "engine/store/postgres.h"
#include "engine/store/postgres_partition.h"
#endif

namespace headway {
namespace internal {

#ifdef HEADWAY_HAS_POSTGRES
namespace {

constexpr int kPostgresFormat = 1;

// The same tables as in a file of SQLite, with the store and the partition. Blocks are compressed
// already.
constexpr const char* kPostgresTables = R"(
CREATE TABLE IF NOT EXISTS headway_stores(name text PRIMARY KEY, format_version integer NOT NULL,
  store_id text NOT NULL, partition_count integer NOT NULL);
CREATE TABLE IF NOT EXISTS headway_partitions(
  store text NOT NULL REFERENCES headway_stores ON DELETE CASCADE, number integer NOT NULL,
  durable_end bigint NOT NULL, committed_end bigint NOT NULL, holder text NOT NULL,
  PRIMARY KEY(store, number));
CREATE TABLE IF NOT EXISTS headway_generations(store text NOT NULL, partition integer NOT NULL,
  number bigint NOT NULL, execution bigint NOT NULL, resume_epoch bigint NOT NULL,
  worker_count integer NOT NULL, started_at_ms bigint NOT NULL,
  PRIMARY KEY(store, partition, number),
  FOREIGN KEY(store, partition) REFERENCES headway_partitions ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS headway_steps(store text NOT NULL, partition integer NOT NULL,
  number bigint NOT NULL, id text NOT NULL, PRIMARY KEY(store, partition, number),
  FOREIGN KEY(store, partition) REFERENCES headway_partitions ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS headway_runs(id bigserial PRIMARY KEY, store text NOT NULL,
  partition integer NOT NULL, step bigint NOT NULL, first_epoch bigint NOT NULL,
  last_epoch bigint NOT NULL, is_base integer NOT NULL, row_count bigint NOT NULL,
  byte_count bigint NOT NULL, written_at_ms bigint NOT NULL,
  UNIQUE(store, partition, step, first_epoch, last_epoch),
  FOREIGN KEY(store, partition) REFERENCES headway_partitions ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS headway_blocks(
  run bigint NOT NULL REFERENCES headway_runs ON DELETE CASCADE, number integer NOT NULL,
  first_hash bigint NOT NULL, last_hash bigint NOT NULL, row_count bigint NOT NULL,
  bytes bytea NOT NULL, PRIMARY KEY(run, number));
ALTER TABLE headway_blocks ALTER COLUMN bytes SET STORAGE EXTERNAL;
)";

std::string DescribeStore(const PostgresPlace& place) {
  return Format("the recovery store '%s' in %s", place.name,
                DescribePostgresDatabase(place.connection));
}

}  // namespace

PostgresStore::PostgresStore(absl::StatusOr<PostgresPlace> place) : place_(std::move(place)) {
  description_ = place_.ok() ? DescribeStore(*place_) : "the recovery store in PostgreSQL";
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresStore::Connect() {
  if (!place_.ok()) return place_.status();
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(place_->timeout);
  while (true) {
    absl::StatusOr<std::unique_ptr<PostgresConnection>> connection =
        PostgresConnection::Connect(place_->connection, Describe(), place_->timeout);
    if (connection.ok()) has_connected_ = true;
    if (connection.status().code() != absl::StatusCode::kUnavailable || !has_connected_ ||
        std::chrono::steady_clock::now() >= end) {
      return connection;
    }
    absl::SleepFor(absl::Milliseconds(100));
  }
}

absl::StatusOr<int> PostgresStore::PartitionCount() {
  const absl::StatusOr<std::unique_ptr<PostgresConnection>> connection = Connect();
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<PostgresResult> store =
      (*connection)
          ->Query(
              "SELECT format_version, partition_count, (SELECT count(*) FROM headway_partitions "
              "WHERE "
              "store = $1) FROM headway_stores WHERE name = $1",
              {place_->name});
  if (absl::IsNotFound(store.status())) return 0;  // there are no tables yet
  if (!store.ok()) return store.status();
  if (store->row_count() == 0) return 0;
  if (store->integer(0, 0) > kPostgresFormat) {
    return absl::FailedPreconditionError(
        Format("%s has format %d, and this program reads formats up to %d: use a newer version of "
               "Headway",
               Describe(), store->integer(0, 0), kPostgresFormat));
  }
  if (store->integer(0, 1) != store->integer(0, 2)) {
    return absl::InvalidArgumentError(
        Format("%s has %d of its %d partitions: restore the database from a backup, or use another "
               "name for a new store",
               Describe(), store->integer(0, 2), store->integer(0, 1)));
  }
  return static_cast<int>(store->integer(0, 1));
}

absl::Status PostgresStore::Create(int count, std::string_view store_id) {
  const absl::StatusOr<std::unique_ptr<PostgresConnection>> connection = Connect();
  if (!connection.ok()) return connection.status();
  // "headway" as a number: two processes that make tables at once would fail.
  absl::Status status =
      (*connection)->Execute("BEGIN; SELECT pg_advisory_xact_lock(29382023577592185)");
  if (status.ok()) status = CreateInTransaction(**connection, count, store_id);
  if (status.ok()) status = (*connection)->Execute("COMMIT");
  return status;
}

absl::Status PostgresStore::CreateInTransaction(PostgresConnection& connection, int count,
                                                std::string_view store_id) {
  absl::Status status = connection.Execute(kPostgresTables);
  if (!status.ok()) return status;
  const absl::StatusOr<PostgresResult> made = connection.Query(
      "INSERT INTO headway_stores VALUES($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING name",
      {place_->name, kPostgresFormat, store_id, count});
  if (!made.ok()) return made.status();
  if (made->row_count() == 0) {
    return absl::FailedPreconditionError(
        Format("%s exists already: remove it first, or use another name", Describe()));
  }
  return connection.Run(
      "INSERT INTO headway_partitions SELECT $1, number, 0, 0, '' FROM generate_series(0, $2 - 1) "
      "AS number",
      {place_->name, count});
}

std::string PostgresStore::DescribePartition(int index) const {
  return Format("partition %d of %s", index, Describe());
}

absl::StatusOr<std::unique_ptr<StorePartition>> PostgresStore::OpenToRead(int index) {
  absl::StatusOr<std::unique_ptr<PostgresConnection>> connection = Connect();
  if (!connection.ok()) return connection.status();
  return PostgresPartition::Open(*std::move(connection), *place_, index, DescribePartition(index),
                                 std::nullopt, false);
}

absl::StatusOr<std::unique_ptr<StorePartition>> PostgresStore::OpenToWrite(int index,
                                                                           std::string_view holder,
                                                                           bool takes_over) {
  absl::StatusOr<std::unique_ptr<PostgresConnection>> connection = Connect();
  if (!connection.ok()) return connection.status();
  return PostgresPartition::Open(*std::move(connection), *place_, index, DescribePartition(index),
                                 HolderText(holder), takes_over);
}

#else

namespace {

absl::Status WithoutPostgres() {
  return absl::UnimplementedError(
      "this program was built without PostgreSQL: install libpq and build Headway again, or use a "
      "directory as the recovery store");
}

}  // namespace

PostgresStore::PostgresStore(absl::StatusOr<PostgresPlace> place)
    : place_(std::move(place)), description_("the recovery store in PostgreSQL") {}
absl::StatusOr<int> PostgresStore::PartitionCount() { return WithoutPostgres(); }
absl::Status PostgresStore::Create(int /*count*/, std::string_view /*store_id*/) {
  return WithoutPostgres();
}
absl::StatusOr<std::unique_ptr<StorePartition>> PostgresStore::OpenToRead(int /*index*/) {
  return WithoutPostgres();
}
absl::StatusOr<std::unique_ptr<StorePartition>> PostgresStore::OpenToWrite(
    int /*index*/, std::string_view /*holder*/, bool /*takes_over*/) {
  return WithoutPostgres();
}

#endif  // HEADWAY_HAS_POSTGRES

}  // namespace internal

std::shared_ptr<RecoveryStore> StoreInPostgres(std::string_view uri, std::string name) {
  absl::StatusOr<internal::PostgresPlace> place = internal::ParsePostgresPlace(uri);
  if (place.ok() && !name.empty()) place->name = std::move(name);
  return std::make_shared<internal::PostgresStore>(std::move(place));
}

std::shared_ptr<RecoveryStore> StoreAt(std::string_view place) {
  const size_t scheme_end = place.find("://");
  if (scheme_end == std::string_view::npos) return StoreInDirectory(std::string(place));
  if (internal::IsPostgresUri(place)) {
    return std::make_shared<internal::PostgresStore>(internal::ParsePostgresPlace(place));
  }
  // The rest of the URI may have a password.
  return std::make_shared<internal::PostgresStore>(absl::InvalidArgumentError(
      internal::Format("there is no recovery store at URIs that begin with '%s://': name a "
                       "directory, or a URI that begins with 'postgresql://'",
                       place.substr(0, scheme_end))));
}

}  // namespace headway
