#include "engine/store/sqlite_partition.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/store/fencing.h"
#include "engine/store/partition_lock.h"
#include "engine/store/sqlite.h"
#include "engine/store/store.h"
#include "format.h"

namespace headway::internal {
namespace {

constexpr int kApplicationId = 0x48445759;  // "HDWY"
constexpr int kFormatVersion = 1;

// Hashes and epochs are stored as the signed integers of the same bits.
constexpr const char* kTables = R"(
CREATE TABLE partition(store_id TEXT NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL,
  durable_end INTEGER NOT NULL, committed_end INTEGER NOT NULL);
CREATE TABLE generations(number INTEGER PRIMARY KEY, execution INTEGER NOT NULL,
  resume_epoch INTEGER NOT NULL, worker_count INTEGER NOT NULL, started_at_ms INTEGER NOT NULL);
CREATE TABLE steps(number INTEGER PRIMARY KEY, id TEXT NOT NULL);
CREATE TABLE runs(id INTEGER PRIMARY KEY AUTOINCREMENT, step INTEGER NOT NULL,
  first_epoch INTEGER NOT NULL, last_epoch INTEGER NOT NULL, is_base INTEGER NOT NULL,
  row_count INTEGER NOT NULL, byte_count INTEGER NOT NULL, written_at_ms INTEGER NOT NULL);
CREATE TABLE blocks(run INTEGER NOT NULL, number INTEGER NOT NULL, first_hash INTEGER NOT NULL,
  last_hash INTEGER NOT NULL, row_count INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY(run, number));
)";

constexpr int64_t kPageBytes = 4096;
// A checkpoint copies the log into the file. The larger the log, the more pages it has twice, which
// are copied once.
constexpr int64_t kLogPagesMax = (int64_t{8} << 20) / kPageBytes;
// The last page of a file can be given back only if its content moves to a free one. So pages are
// given back only when the larger part of a file is free.
constexpr int64_t kFreePagesMin = (int64_t{1} << 20) / kPageBytes;

absl::StatusOr<SqlitePartition::Identity> ReadIdentityOf(SqliteDatabase& database) {
  const absl::StatusOr<int64_t> application = database.Integer("PRAGMA application_id");
  if (!application.ok()) return application.status();
  if (*application != kApplicationId) {
    return absl::InvalidArgumentError(
        Format("'%s' is no partition of a recovery store: move it elsewhere, or use another "
               "directory",
               database.file()));
  }
  const absl::StatusOr<int64_t> version = database.Integer("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version > kFormatVersion) {
    return absl::FailedPreconditionError(
        Format("'%s' has format %d, and this program reads formats up to %d: use a newer version "
               "of Headway",
               database.file(), *version, kFormatVersion));
  }
  absl::StatusOr<SqliteStatement> row = database.Prepare(
      "SELECT store_id, number, count, (SELECT count(*) FROM generations) FROM partition");
  if (!row.ok()) return row.status();
  SqlitePartition::Identity identity;
  if (!row->Step()) {
    return !row->status().ok()
               ? row->status()
               : absl::DataLossError(Format("'%s' is damaged (it has no row in the table "
                                            "'partition'): replace it by a copy",
                                            database.file()));
  }
  identity.store_id = row->bytes(0);
  identity.index = static_cast<int>(row->integer(1));
  identity.count = static_cast<int>(row->integer(2));
  identity.is_used = row->integer(3) > 0;
  return identity;
}

}  // namespace

absl::Status SqlitePartition::Create(const std::string& file, const Identity& identity) {
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> database =
      SqliteDatabase::Open(file, SqliteDatabase::Mode::kCreate, absl::Seconds(1));
  if (!database.ok()) return database.status();
  SqliteDatabase& tables = **database;
  // The first two take effect before the first table only.
  const std::string pragmas = Format(
      "PRAGMA page_size=%d; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=OFF; BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%d;",
      kPageBytes, kApplicationId, kFormatVersion);
  absl::Status status = tables.Execute(pragmas.c_str());
  if (status.ok()) status = tables.Execute(kTables);
  if (status.ok()) {
    status = tables.Run("INSERT INTO partition VALUES(?, ?, ?, 0, 0)", identity.store_id,
                        identity.index, identity.count);
  }
  if (status.ok()) status = tables.Execute("COMMIT");
  return status;
}

absl::StatusOr<SqlitePartition::Identity> SqlitePartition::ReadIdentity(const std::string& file) {
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> database =
      SqliteDatabase::Open(file, SqliteDatabase::Mode::kRead, absl::Seconds(1));
  if (!database.ok()) return database.status();
  return ReadIdentityOf(**database);
}

absl::StatusOr<std::unique_ptr<StorePartition>> SqlitePartition::Open(
    const std::string& file, std::string description, std::optional<PartitionLock> lock,
    absl::Duration busy_timeout) {
  absl::StatusOr<std::unique_ptr<SqliteDatabase>> database = SqliteDatabase::Open(
      file, lock ? SqliteDatabase::Mode::kWrite : SqliteDatabase::Mode::kRead, busy_timeout);
  if (!database.ok()) return database.status();
  const absl::StatusOr<Identity> identity = ReadIdentityOf(**database);
  if (!identity.ok()) return identity.status();
  if (lock) {
    absl::Status status = (*database)->Execute("PRAGMA synchronous=FULL");
    if (!status.ok()) return status;
  }
  return std::unique_ptr<StorePartition>(
      new SqlitePartition(*std::move(database), std::move(description), std::move(lock)));
}

SqlitePartition::~SqlitePartition() {
  if (lock_) database_->Checkpoint();
}

absl::StatusOr<PartitionContents> SqlitePartition::ReadContents() {
  PartitionContents contents;
  absl::Status status = database_->Execute("BEGIN");
  if (!status.ok()) return status;
  status = ReadTables(&contents);
  // The transaction has only read, so its end cannot matter.
  static_cast<void>(database_->Execute("ROLLBACK"));
  if (!status.ok()) return status;
  return contents;
}

absl::Status SqlitePartition::ReadTables(PartitionContents* contents) {
  const auto query = [this](std::string_view sql, auto row) -> absl::Status {
    absl::StatusOr<SqliteStatement> statement = database_->Prepare(sql);
    if (!statement.ok()) return statement.status();
    while (statement->Step()) row(*statement);
    return statement->status();
  };
  absl::Status status =
      query("SELECT store_id, number, count, durable_end, committed_end FROM partition",
            [&](const SqliteStatement& row) {
              contents->store_id = row.bytes(0);
              contents->index = static_cast<int32_t>(row.integer(1));
              contents->count = static_cast<int32_t>(row.integer(2));
              contents->durable_end = row.bits(3);
              contents->committed_end = row.bits(4);
            });
  if (!status.ok()) return status;
  status = query(
      "SELECT number, execution, resume_epoch, worker_count, started_at_ms FROM generations "
      "ORDER BY number",
      [&](const SqliteStatement& row) {
        contents->generations.push_back({row.bits(0), row.bits(1), row.bits(2),
                                         static_cast<int32_t>(row.integer(3)), row.integer(4)});
      });
  if (!status.ok()) return status;
  status = query("SELECT number, id FROM steps ORDER BY number", [&](const SqliteStatement& row) {
    contents->steps.push_back({static_cast<uint32_t>(row.integer(0)), std::string(row.bytes(1))});
  });
  if (!status.ok()) return status;
  return query(
      "SELECT id, step, first_epoch, last_epoch, is_base, row_count, byte_count, written_at_ms "
      "FROM runs ORDER BY step, first_epoch",
      [&](const SqliteStatement& row) {
        contents->runs.push_back({row.integer(0), static_cast<uint32_t>(row.integer(1)),
                                  row.bits(2), row.bits(3), row.integer(4) != 0, row.bits(5),
                                  row.bits(6), row.integer(7)});
      });
}

absl::StatusOr<std::vector<StoredBlock>> SqlitePartition::ListBlocks(int64_t run) {
  // SQLite does not read the pages of `bytes` for the columns before it.
  absl::StatusOr<SqliteStatement> row = database_->Prepare(
      "SELECT first_hash, last_hash, row_count FROM blocks WHERE run=? ORDER BY number");
  if (!row.ok()) return row.status();
  row->Bind(run);
  std::vector<StoredBlock> blocks;
  while (row->Step()) {
    blocks.push_back({row->bits(0), row->bits(1), static_cast<uint32_t>(row->integer(2))});
  }
  if (!row->status().ok()) return row->status();
  if (!blocks.empty()) return blocks;
  absl::StatusOr<SqliteStatement> found = database_->Prepare("SELECT 1 FROM runs WHERE id=?");
  if (!found.ok()) return found.status();
  if (found->Bind(run).Step()) return blocks;
  return found->status().ok() ? Gone(run) : found->status();
}

absl::StatusOr<std::string> SqlitePartition::ReadBlock(int64_t run, size_t number) {
  if (!read_block_) {
    absl::StatusOr<SqliteStatement> statement =
        database_->Prepare("SELECT bytes FROM blocks WHERE run=? AND number=?");
    if (!statement.ok()) return statement.status();
    read_block_ = *std::move(statement);
  }
  if (!read_block_->Bind(run, uint64_t{number}).Step()) {
    return read_block_->status().ok() ? Gone(run) : read_block_->status();
  }
  std::string bytes(read_block_->bytes(0));
  absl::Status status = read_block_->Run();
  if (!status.ok()) return status;
  return bytes;
}

absl::Status SqlitePartition::Gone(int64_t run) const {
  return absl::NotFoundError(Format("%s has no run %d any more", Describe(), run));
}

absl::Status SqlitePartition::Apply(const PartitionChange& change) {
  if (lock_) lock_->TryAgain();
  absl::Status status = database_->Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  status = ApplyInTransaction(change);
  if (status.ok()) status = database_->Execute("COMMIT");
  if (!status.ok()) {
    // A full disk may have ended the transaction already.
    static_cast<void>(database_->Execute("ROLLBACK"));
    return status;
  }
  // The change is durable. If the disk is full, the log stays until a later change.
  if (!change.removed_runs.empty() || !change.removed_steps.empty()) {
    static_cast<void>(GiveBackPages());
  }
  if (database_->log_pages() > kLogPagesMax) database_->Checkpoint();
  return status;
}

absl::Status SqlitePartition::ApplyInTransaction(const PartitionChange& change) {
  const absl::StatusOr<int64_t> latest = database_->Integer("SELECT max(number) FROM generations");
  if (!latest.ok()) return latest.status();
  absl::Status status =
      CheckGeneration(Describe(), change.generation, static_cast<uint64_t>(*latest));
  const auto run = [&](std::string_view sql, const auto&... args) {
    if (status.ok()) status = database_->Run(sql, args...);
  };
  if (change.begins) {
    const Generation& begins = *change.begins;
    const int64_t resume_epoch = InSigned(begins.resume_epoch);
    const absl::StatusOr<int64_t> spanning = database_->Integer(
        Format("SELECT count(*) FROM runs WHERE first_epoch<%d AND last_epoch>=%d", resume_epoch,
               resume_epoch));
    if (!spanning.ok()) return spanning.status();
    if (status.ok()) {
      status = CheckNoneSpans(Describe(), begins.resume_epoch, static_cast<uint64_t>(*spanning));
    }
    run("DELETE FROM blocks WHERE run IN (SELECT id FROM runs WHERE last_epoch>=?)", resume_epoch);
    run("DELETE FROM runs WHERE last_epoch>=?", resume_epoch);
    run("INSERT OR REPLACE INTO generations VALUES(?, ?, ?, ?, ?)", begins.number, begins.execution,
        begins.resume_epoch, begins.worker_count, begins.started_at_ms);
  }
  for (const StoredStep& step : change.new_steps) {
    run("INSERT OR REPLACE INTO steps VALUES(?, ?)", step.number, step.id);
  }
  for (const StoredStep& step : change.renamed_steps) {
    run("UPDATE steps SET id=? WHERE number=?", step.id, step.number);
  }
  for (const int64_t id : change.removed_runs) {
    run("DELETE FROM blocks WHERE run=?", id);
    run("DELETE FROM runs WHERE id=?", id);
  }
  for (const uint32_t step : change.removed_steps) {
    run("DELETE FROM blocks WHERE run IN (SELECT id FROM runs WHERE step=?)", step);
    run("DELETE FROM runs WHERE step=?", step);
    run("DELETE FROM steps WHERE number=?", step);
  }
  for (const PartitionChange::NewRun& added : change.new_runs) {
    if (status.ok()) status = AddRun(added);
  }
  for (const uint64_t number : change.removed_generations) {
    run("DELETE FROM generations WHERE number=?", number);
  }
  if (change.durable_end) run("UPDATE partition SET durable_end=?", *change.durable_end);
  if (change.committed_end) run("UPDATE partition SET committed_end=?", *change.committed_end);
  return status;
}

absl::Status SqlitePartition::AddRun(const PartitionChange::NewRun& added) {
  const StoredRun& run = added.run;
  constexpr const char* kSame =
      "SELECT id FROM runs WHERE step=? AND first_epoch=? AND last_epoch=?";
  absl::Status status = database_->Run(Format("DELETE FROM blocks WHERE run IN (%s)", kSame),
                                       run.step, run.first_epoch, run.last_epoch);
  if (!status.ok()) return status;
  status = database_->Run(Format("DELETE FROM runs WHERE id IN (%s)", kSame), run.step,
                          run.first_epoch, run.last_epoch);
  if (!status.ok()) return status;
  status = database_->Run("INSERT INTO runs VALUES(NULL, ?, ?, ?, ?, ?, ?, ?)", run.step,
                          run.first_epoch, run.last_epoch, run.is_base, run.row_count,
                          run.byte_count, run.written_at_ms);
  if (!status.ok()) return status;
  const int64_t id = database_->last_row_id();
  absl::StatusOr<SqliteStatement> insert =
      database_->Prepare("INSERT INTO blocks VALUES(?, ?, ?, ?, ?, ?)");
  if (!insert.ok()) return insert.status();
  for (size_t i = 0; i < added.blocks.size(); ++i) {
    const StoredBlock& block = added.blocks[i];
    status = insert
                 ->Bind(id, uint64_t{i}, block.first_hash, block.last_hash, block.row_count,
                        SqliteBlob{block.bytes})
                 .Run();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SqlitePartition::GiveBackPages() {
  const absl::StatusOr<int64_t> free = database_->Integer("PRAGMA freelist_count");
  if (!free.ok()) return free.status();
  const absl::StatusOr<int64_t> pages = database_->Integer("PRAGMA page_count");
  if (!pages.ok()) return pages.status();
  const int64_t used = *pages - *free;
  if (*free < kFreePagesMin || *free <= 2 * used) return absl::OkStatus();
  return database_->Execute(Format("PRAGMA incremental_vacuum(%d)", *free - used).c_str());
}

}  // namespace headway::internal
