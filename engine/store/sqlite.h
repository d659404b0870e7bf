#ifndef HEADWAY_ENGINE_STORE_SQLITE_H_
#define HEADWAY_ENGINE_STORE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace headway::internal {

class SqliteDatabase;

// Marks a parameter as a BLOB.
struct SqliteBlob {
  std::string_view bytes;
};

// A prepared statement of a database, which outlives it. Errors are those of the database.
class SqliteStatement {
 public:
  // Sets the parameters, from the first one on. Bytes and texts must stay as they are until Step
  // returns false.
  template <class... Args>
  SqliteStatement& Bind(const Args&... args) {
    Reset();
    int index = 0;
    (BindOne(++index, args), ...);
    return *this;
  }

  // Goes to the next row of the result. Returns false at the end and after an error.
  bool Step();
  // Runs the statement to its end.
  absl::Status Run();
  absl::Status status() const { return status_; }

  // Columns of the row, from 0. Views are valid until the next Step.
  int64_t integer(int column) const;
  uint64_t bits(int column) const { return static_cast<uint64_t>(integer(column)); }
  std::string_view bytes(int column) const;

 private:
  friend class SqliteDatabase;

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };

  SqliteStatement(const SqliteDatabase* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  void Reset();
  void BindOne(int index, int64_t value);
  void BindOne(int index, int value) { BindOne(index, int64_t{value}); }
  void BindOne(int index, uint32_t value) { BindOne(index, int64_t{value}); }
  void BindOne(int index, uint64_t value) { BindOne(index, static_cast<int64_t>(value)); }
  void BindOne(int index, std::string_view text);
  void BindOne(int index, SqliteBlob blob);

  const SqliteDatabase* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  absl::Status status_;
};

// A connection to a SQLite file. Errors are sentences that name the file and the remedy:
// ResourceExhausted (full), PermissionDenied (read-only), DataLoss (damaged), Unavailable (locked
// by another program), NotFound. Not thread safe.
class SqliteDatabase {
 public:
  enum class Mode { kRead, kWrite, kCreate };

  // `busy_timeout`: how long to wait for other programs.
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(std::string file, Mode mode,
                                                              absl::Duration busy_timeout);
  ~SqliteDatabase();

  const std::string& file() const { return file_; }

  // Runs statements without parameters.
  absl::Status Execute(const char* sql);
  absl::StatusOr<SqliteStatement> Prepare(std::string_view sql);
  // Prepares and runs a statement.
  template <class... Args>
  absl::Status Run(std::string_view sql, const Args&... args) {
    absl::StatusOr<SqliteStatement> statement = Prepare(sql);
    return statement.ok() ? statement->Bind(args...).Run() : statement.status();
  }
  // The integer that a statement returns; 0 for NULL or no row.
  absl::StatusOr<int64_t> Integer(std::string_view sql);
  int64_t last_row_id() const;

  // The size of the write-ahead log after the last commit.
  int64_t log_pages() const { return log_pages_; }
  // Copies the write-ahead log to the file, as far as readers allow, without waiting for them. A
  // failure is of no consequence: the log stays.
  void Checkpoint();

  // The error of the last call, which returned `code`.
  absl::Status Error(int code) const;

 private:
  SqliteDatabase(std::string file, absl::Duration busy_timeout)
      : file_(std::move(file)), busy_timeout_(busy_timeout) {}

  absl::Status Connect(const std::string& name, int flags);

  std::string file_;
  absl::Duration busy_timeout_;
  sqlite3* database_ = nullptr;
  int64_t log_pages_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_SQLITE_H_
