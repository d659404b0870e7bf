#ifdef HEADWAY_HAS_POSTGRES

#include "engine/store/postgres_partition.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "check.h"
#include "comm/codec/stable_hash.h"
#include "engine/store/fencing.h"
#include "engine/store/partition_lock.h"
#include "engine/store/postgres.h"
#include "engine/store/postgres_place.h"
#include "engine/store/store.h"
#include "format.h"

namespace headway::internal {
namespace {

// The key of the advisory lock of a partition. Locks belong to a database.
int64_t LockKey(const std::string& store, int index) {
  return static_cast<int64_t>(StableHash(std::pair("headway recovery store " + store, index)));
}

constexpr absl::Duration kRetryAfter = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<StorePartition>> PostgresPartition::Open(
    std::unique_ptr<PostgresConnection> connection, const PostgresPlace& place, int index,
    std::string description, std::optional<std::string> holder, bool takes_over) {
  std::unique_ptr<PostgresPartition> partition(new PostgresPartition(
      std::move(connection), place, index, std::move(description), std::move(holder)));
  const absl::StatusOr<std::string> old_holder = partition->ReadHolder();
  if (!old_holder.ok()) return old_holder.status();
  if (partition->holder_) {
    const bool is_lost = takes_over && IsSameHolder(*old_holder, *partition->holder_);
    absl::Status status = partition->Lock(is_lost, *old_holder);
    if (!status.ok()) return status;
  }
  return partition;
}

PostgresPartition::~PostgresPartition() {
  // The server notices the end of the connection later.
  if (has_lock_ && connection_ != nullptr) {
    static_cast<void>(connection_->Execute("SELECT pg_advisory_unlock_all()"));
  }
}

absl::StatusOr<std::string> PostgresPartition::ReadHolder() {
  const absl::StatusOr<PostgresResult> result =
      connection_->Query("SELECT holder FROM headway_partitions WHERE store = $1 AND number = $2",
                         {place_.name, index_});
  if (!result.ok()) return result.status();
  if (result->row_count() == 0) {
    return absl::NotFoundError(
        Format("%s does not exist: restore the database from a backup, or "
               "use another name for a new store",
               Describe()));
  }
  return std::string(result->bytes(0, 0));
}

absl::StatusOr<bool> PostgresPartition::TryLock() {
  const absl::StatusOr<PostgresResult> result =
      connection_->Query("SELECT pg_try_advisory_lock($1)::int", {LockKey(place_.name, index_)});
  if (!result.ok()) return result.status();
  if (result->integer(0, 0) == 0) return false;
  lock_text_ = Format("%s, server process %d", *holder_, connection_->process_id());
  absl::Status status =
      connection_->Run("UPDATE headway_partitions SET holder = $3 WHERE store = $1 AND number = $2",
                       {place_.name, index_, lock_text_});
  if (!status.ok()) return status;
  return true;
}

absl::Status PostgresPartition::Lock(bool takes_over, const std::string& holder) {
  // The server notices the end of a process that was killed a little later.
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) absl::SleepFor(kRetryAfter);
    const absl::StatusOr<bool> is_locked = TryLock();
    if (!is_locked.ok()) return is_locked.status();
    has_lock_ = *is_locked;
    if (has_lock_) return absl::OkStatus();
    if (takes_over && attempt == 0) {
      absl::Status status = EndHolder();
      if (!status.ok()) return status;
    }
  }
  // Without the lock, the comparison of generations keeps the lost process away.
  if (takes_over) return absl::OkStatus();
  return absl::FailedPreconditionError(Format(
      "%s is in use by %s: wait until it ends, or use another recovery store", Describe(), holder));
}

absl::Status PostgresPartition::EndHolder() {
  absl::Status status = connection_->Run(
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND "
      "database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND "
      "classid::bigint = (($1::bigint >> 32) & 4294967295) AND "
      "objid::bigint = ($1::bigint & 4294967295) AND objsubid = 1",
      {LockKey(place_.name, index_)});
  return absl::IsPermissionDenied(status) ? absl::OkStatus() : status;
}

absl::Status PostgresPartition::WithConnection(absl::FunctionRef<absl::Status()> action) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(place_.timeout);
  while (true) {
    absl::Status status = connection_ != nullptr ? absl::OkStatus() : Reconnect();
    if (status.ok()) status = action();
    if (status.code() != absl::StatusCode::kUnavailable) return status;
    connection_.reset();
    if (std::chrono::steady_clock::now() >= end) {
      return absl::UnavailableError(
          Format("%s (tried for %s)", status.message(), absl::FormatDuration(place_.timeout)));
    }
    absl::SleepFor(kRetryAfter);
  }
}

absl::Status PostgresPartition::Reconnect() {
  absl::StatusOr<std::unique_ptr<PostgresConnection>> connection =
      PostgresConnection::Connect(place_.connection, Describe(), place_.timeout);
  if (!connection.ok()) return connection.status();
  connection_ = *std::move(connection);
  if (!has_lock_) return absl::OkStatus();
  // The lock went with the old connection.
  const absl::StatusOr<bool> is_locked = TryLock();
  if (!is_locked.ok() || *is_locked) return is_locked.status();
  const absl::StatusOr<std::string> other = ReadHolder();
  if (!other.ok()) return other.status();
  if (*other == lock_text_) {
    return absl::UnavailableError(
        Format("%s is still locked by the lost connection of this process", Describe()));
  }
  return absl::AbortedError(Format(
      "%s has been taken over by %s while this process had no connection", Describe(), *other));
}

absl::Status PostgresPartition::InTransaction(const char* begin,
                                              absl::FunctionRef<absl::Status()> action) {
  absl::Status status = connection_->Execute(begin);
  if (status.ok()) status = action();
  if (status.ok()) return connection_->Execute("COMMIT");
  // Without a connection the server does it.
  static_cast<void>(connection_->Execute("ROLLBACK"));
  return status;
}

absl::StatusOr<PartitionContents> PostgresPartition::ReadContents() {
  PartitionContents contents;
  absl::Status status = WithConnection([&] {
    contents = {};
    return InTransaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                         [&] { return ReadTables(&contents); });
  });
  if (!status.ok()) return status;
  return contents;
}

absl::Status PostgresPartition::ReadTables(PartitionContents* contents) {
  const std::initializer_list<PostgresParameter> place = {place_.name, index_};
  absl::StatusOr<PostgresResult> rows = connection_->Query(
      "SELECT s.store_id, p.number, s.partition_count, p.durable_end, p.committed_end FROM "
      "headway_stores s JOIN headway_partitions p ON p.store = s.name "
      "WHERE s.name = $1 AND p.number = $2",
      place);
  if (!rows.ok()) return rows.status();
  if (rows->row_count() == 0) return ReadHolder().status();
  contents->store_id = rows->bytes(0, 0);
  contents->index = static_cast<int32_t>(rows->integer(0, 1));
  contents->count = static_cast<int32_t>(rows->integer(0, 2));
  contents->durable_end = rows->bits(0, 3);
  contents->committed_end = rows->bits(0, 4);
  rows = connection_->Query(
      "SELECT number, execution, resume_epoch, worker_count, started_at_ms FROM "
      "headway_generations WHERE store = $1 AND partition = $2 ORDER BY number",
      place);
  if (!rows.ok()) return rows.status();
  for (int i = 0; i < rows->row_count(); ++i) {
    contents->generations.push_back({rows->bits(i, 0), rows->bits(i, 1), rows->bits(i, 2),
                                     static_cast<int32_t>(rows->integer(i, 3)),
                                     rows->integer(i, 4)});
  }
  rows = connection_->Query(
      "SELECT number, id FROM headway_steps WHERE store = $1 AND partition = $2 ORDER BY number",
      place);
  if (!rows.ok()) return rows.status();
  for (int i = 0; i < rows->row_count(); ++i) {
    contents->steps.push_back(
        {static_cast<uint32_t>(rows->integer(i, 0)), std::string(rows->bytes(i, 1))});
  }
  rows = connection_->Query(
      "SELECT id, step, first_epoch, last_epoch, is_base, row_count, byte_count, written_at_ms "
      "FROM headway_runs WHERE store = $1 AND partition = $2 ORDER BY step, first_epoch",
      place);
  if (!rows.ok()) return rows.status();
  for (int i = 0; i < rows->row_count(); ++i) {
    contents->runs.push_back({rows->integer(i, 0), static_cast<uint32_t>(rows->integer(i, 1)),
                              rows->bits(i, 2), rows->bits(i, 3), rows->integer(i, 4) != 0,
                              rows->bits(i, 5), rows->bits(i, 6), rows->integer(i, 7)});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredBlock>> PostgresPartition::ListBlocks(int64_t run) {
  std::vector<StoredBlock> blocks;
  absl::Status status = WithConnection([&]() -> absl::Status {
    // A run without blocks is one row without numbers.
    const absl::StatusOr<PostgresResult> rows = connection_->Query(
        "SELECT b.first_hash, b.last_hash, b.row_count, b.run FROM headway_runs r "
        "LEFT JOIN headway_blocks b ON b.run = r.id WHERE r.id = $1 ORDER BY b.number",
        {run});
    if (!rows.ok()) return rows.status();
    if (rows->row_count() == 0) return Gone(run);
    blocks.clear();
    for (int i = 0; i < rows->row_count(); ++i) {
      if (rows->bytes(i, 3).empty()) continue;
      blocks.push_back(
          {rows->bits(i, 0), rows->bits(i, 1), static_cast<uint32_t>(rows->integer(i, 2))});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return blocks;
}

absl::StatusOr<std::string> PostgresPartition::ReadBlock(int64_t run, size_t number) {
  std::string bytes;
  absl::Status status = WithConnection([&]() -> absl::Status {
    const absl::StatusOr<PostgresResult> rows =
        connection_->Query("SELECT bytes FROM headway_blocks WHERE run = $1 AND number = $2",
                           {run, uint64_t{number}}, /*is_binary=*/true);
    if (!rows.ok()) return rows.status();
    if (rows->row_count() == 0) return Gone(run);
    bytes = rows->bytes(0, 0);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return bytes;
}

absl::Status PostgresPartition::Gone(int64_t run) const {
  return absl::NotFoundError(Format("%s has no run %d any more", Describe(), run));
}

absl::Status PostgresPartition::Apply(const PartitionChange& change) {
  HEADWAY_CHECK(holder_);
  return WithConnection([&]() -> absl::Status {
    if (!has_lock_) {
      const absl::StatusOr<bool> is_locked = TryLock();
      if (!is_locked.ok()) return is_locked.status();
      has_lock_ = *is_locked;
    }
    return InTransaction("BEGIN", [&] { return ApplyInTransaction(change); });
  });
}

absl::Status PostgresPartition::ApplyInTransaction(const PartitionChange& change) {
  const std::string& store = place_.name;
  // Writers come one after the other, so that the comparison holds until the end.
  absl::Status status = connection_->Run(
      "SELECT 1 FROM headway_partitions WHERE store = $1 AND number = $2 FOR UPDATE",
      {store, index_});
  if (!status.ok()) return status;
  const absl::StatusOr<PostgresResult> latest = connection_->Query(
      "SELECT coalesce(max(number), 0) FROM headway_generations WHERE store = $1 AND partition = "
      "$2",
      {store, index_});
  if (!latest.ok()) return latest.status();
  status = CheckGeneration(Describe(), change.generation, latest->bits(0, 0));
  const auto run = [&](const char* sql, std::initializer_list<PostgresParameter> parameters) {
    if (status.ok()) status = connection_->Run(sql, parameters);
  };
  if (change.begins) {
    const Generation& begins = *change.begins;
    const absl::StatusOr<PostgresResult> spanning = connection_->Query(
        "SELECT count(*) FROM headway_runs WHERE store = $1 AND partition = $2 AND "
        "first_epoch < $3 AND last_epoch >= $3",
        {store, index_, InSigned(begins.resume_epoch)});
    if (!spanning.ok()) return spanning.status();
    if (status.ok()) {
      status = CheckNoneSpans(Describe(), begins.resume_epoch, spanning->bits(0, 0));
    }
    run("DELETE FROM headway_runs WHERE store = $1 AND partition = $2 AND last_epoch >= $3",
        {store, index_, InSigned(begins.resume_epoch)});
    run("INSERT INTO headway_generations VALUES($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT(store, partition, number) DO UPDATE SET execution = $4, resume_epoch = $5, "
        "worker_count = $6, started_at_ms = $7",
        {store, index_, begins.number, begins.execution, begins.resume_epoch, begins.worker_count,
         begins.started_at_ms});
  }
  for (const StoredStep& step : change.new_steps) {
    run("INSERT INTO headway_steps VALUES($1, $2, $3, $4) "
        "ON CONFLICT(store, partition, number) DO UPDATE SET id = $4",
        {store, index_, step.number, step.id});
  }
  for (const StoredStep& step : change.renamed_steps) {
    run("UPDATE headway_steps SET id = $4 WHERE store = $1 AND partition = $2 AND number = $3",
        {store, index_, step.number, step.id});
  }
  for (const int64_t id : change.removed_runs) {
    run("DELETE FROM headway_runs WHERE id = $1", {id});
  }
  for (const uint32_t step : change.removed_steps) {
    run("DELETE FROM headway_runs WHERE store = $1 AND partition = $2 AND step = $3",
        {store, index_, step});
    run("DELETE FROM headway_steps WHERE store = $1 AND partition = $2 AND number = $3",
        {store, index_, step});
  }
  for (const PartitionChange::NewRun& added : change.new_runs) {
    if (status.ok()) status = AddRun(added);
  }
  for (const uint64_t number : change.removed_generations) {
    run("DELETE FROM headway_generations WHERE store = $1 AND partition = $2 AND number = $3",
        {store, index_, number});
  }
  if (change.durable_end) {
    run("UPDATE headway_partitions SET durable_end = $3 WHERE store = $1 AND number = $2",
        {store, index_, *change.durable_end});
  }
  if (change.committed_end) {
    run("UPDATE headway_partitions SET committed_end = $3 WHERE store = $1 AND number = $2",
        {store, index_, *change.committed_end});
  }
  return status;
}

absl::Status PostgresPartition::AddRun(const PartitionChange::NewRun& added) {
  const StoredRun& run = added.run;
  absl::Status status = connection_->Run(
      "DELETE FROM headway_runs WHERE store = $1 AND partition = $2 AND step = $3 AND "
      "first_epoch = $4 AND last_epoch = $5",
      {place_.name, index_, run.step, run.first_epoch, run.last_epoch});
  if (!status.ok()) return status;
  const absl::StatusOr<PostgresResult> id = connection_->Query(
      "INSERT INTO headway_runs(store, partition, step, first_epoch, last_epoch, is_base, "
      "row_count, byte_count, written_at_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9) "
      "RETURNING id",
      {place_.name, index_, run.step, run.first_epoch, run.last_epoch, int{run.is_base},
       run.row_count, run.byte_count, run.written_at_ms});
  if (!id.ok()) return id.status();
  for (size_t i = 0; i < added.blocks.size(); ++i) {
    const StoredBlock& block = added.blocks[i];
    status = connection_->Run("INSERT INTO headway_blocks VALUES($1, $2, $3, $4, $5, $6)",
                              {id->integer(0, 0), uint64_t{i}, block.first_hash, block.last_hash,
                               block.row_count, PostgresBytes{block.bytes}});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace headway::internal

#endif  // HEADWAY_HAS_POSTGRES
