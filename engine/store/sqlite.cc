#include "engine/store/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "check.h"
#include "format.h"

namespace headway::internal {
namespace {

// A read-only file system without the files of a write-ahead log: SQLite could not make them, and
// nobody can change the file.
bool IsImmutable(const std::string& file) {
  const std::filesystem::path directory = std::filesystem::path(file).parent_path();
  std::error_code error;
  return faccessat(AT_FDCWD, directory.empty() ? "." : directory.c_str(), W_OK, AT_EACCESS) != 0 &&
         !std::filesystem::exists(file + "-wal", error);
}

// A URI of SQLite in which the name of the file is taken literally.
std::string ImmutableUri(const std::string& file) {
  std::string uri = "file:";
  for (const char c : file) {
    if (c == '?' || c == '#' || c == '%') {
      uri += Format("%%%02x", static_cast<int>(c));
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_.get());  // its result is that of the last step
  status_ = absl::OkStatus();
}

void SqliteStatement::BindOne(int index, int64_t value) {
  HEADWAY_CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK);
}

// A null pointer would be the value NULL.
void SqliteStatement::BindOne(int index, std::string_view text) {
  const int code = sqlite3_bind_text64(statement_.get(), index, text.empty() ? "" : text.data(),
                                       text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) status_ = database_->Error(code);
}

void SqliteStatement::BindOne(int index, SqliteBlob blob) {
  const int code =
      sqlite3_bind_blob64(statement_.get(), index, blob.bytes.empty() ? "" : blob.bytes.data(),
                          blob.bytes.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) status_ = database_->Error(code);
}

bool SqliteStatement::Step() {
  if (!status_.ok()) return false;
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) status_ = database_->Error(code);
  sqlite3_reset(statement_.get());  // an open statement would keep its transaction open
  return false;
}

absl::Status SqliteStatement::Run() {
  while (Step()) {
  }
  return status_;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(std::string file, Mode mode,
                                                                     absl::Duration busy_timeout) {
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(std::move(file), busy_timeout));
  int flags = SQLITE_OPEN_READONLY;
  if (mode == Mode::kWrite) flags = SQLITE_OPEN_READWRITE;
  if (mode == Mode::kCreate) flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  absl::Status status;
  if (mode == Mode::kRead && IsImmutable(database->file_)) {
    status = database->Connect(ImmutableUri(database->file_), flags | SQLITE_OPEN_URI);
  } else {
    status = database->Connect(database->file_, flags);
  }
  if (!status.ok()) return status;
  return database;
}

absl::Status SqliteDatabase::Connect(const std::string& name, int flags) {
  const int code = sqlite3_open_v2(name.c_str(), &database_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return Error(code);
  sqlite3_extended_result_codes(database_, 1);
  sqlite3_busy_timeout(database_, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout_)));
  // The hook replaces the automatic checkpoints.
  const auto note_pages = [](void* database, sqlite3*, const char*, int pages) {
    static_cast<SqliteDatabase*>(database)->log_pages_ = pages;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(database_, note_pages, this);
  return absl::OkStatus();
}

SqliteDatabase::~SqliteDatabase() {
  if (database_ != nullptr) HEADWAY_CHECK(sqlite3_close(database_) == SQLITE_OK);
}

absl::Status SqliteDatabase::Execute(const char* sql) {
  const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<SqliteStatement> SqliteDatabase::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) return Error(code);
  return SqliteStatement(this, statement);
}

absl::StatusOr<int64_t> SqliteDatabase::Integer(std::string_view sql) {
  absl::StatusOr<SqliteStatement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  const int64_t value = statement->Step() ? statement->integer(0) : 0;
  if (!statement->status().ok()) return statement->status();
  return value;
}

int64_t SqliteDatabase::last_row_id() const { return sqlite3_last_insert_rowid(database_); }

void SqliteDatabase::Checkpoint() {
  sqlite3_busy_timeout(database_, 0);
  if (sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) ==
      SQLITE_OK) {
    log_pages_ = 0;
  }
  sqlite3_busy_timeout(database_, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout_)));
}

absl::Status SqliteDatabase::Error(int code) const {
  const int last_error = errno;
  int error = database_ == nullptr ? 0 : sqlite3_system_errno(database_);
  // SQLite does not note the error of the system when COMMIT fails.
  if (error == 0 && (code & 0xff) == SQLITE_IOERR) error = last_error;
  // The index of the log is extended by writing to it; SQLite does not keep the cause of a failure.
  const bool is_full =
      code == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE ||
      ((code & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT || error == EFBIG));
  if (is_full) {
    return absl::ResourceExhaustedError(
        Format("cannot write '%s': the disk is full; make room, then start the run again", file_));
  }
  switch (code & 0xff) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(
          Format("cannot write '%s': the file or its directory is read-only; allow the run to "
                 "write both",
                 file_));
    case SQLITE_CANTOPEN: {
      if (access(file_.c_str(), F_OK) != 0 && errno == ENOENT) {
        return absl::NotFoundError(
            Format("there is no file '%s': put a copy of it there, or remove the whole store to "
                   "start from the beginning",
                   file_));
      }
      return absl::PermissionDeniedError(
          Format("cannot open '%s' or a file next to it (%s): allow the run to read and write the "
                 "directory",
                 file_, error != 0 ? std::strerror(error) : sqlite3_errmsg(database_)));
    }
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          Format("'%s' is damaged (%s): replace it by a copy, or remove the whole store to start "
                 "from the beginning",
                 file_, sqlite3_errstr(code)));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(
          Format("'%s' is locked by another program: end the program that uses it", file_));
    case SQLITE_TOOBIG:
      return absl::InvalidArgumentError(
          Format("cannot write '%s': the state of a key is too large for SQLite", file_));
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(Format("cannot use '%s': out of memory", file_));
    default:
      return absl::UnknownError(
          Format("cannot use '%s': %s (SQLite's code %d)%s%s", file_,
                 database_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database_), code,
                 error != 0 ? ", " : "", error != 0 ? std::strerror(error) : ""));
  }
}

}  // namespace headway::internal
