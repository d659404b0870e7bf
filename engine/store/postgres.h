#ifndef HEADWAY_ENGINE_STORE_POSTGRES_H_
#define HEADWAY_ENGINE_STORE_POSTGRES_H_

#include <libpq-fe.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace headway::internal {

// Bytes that are passed as they are.
struct PostgresBytes {
  std::string_view bytes;
};

// A parameter of a query: a number or a text as text, or bytes, which must outlive the query.
class PostgresParameter {
 public:
  PostgresParameter(int64_t value) : text_(std::to_string(value)) {}
  PostgresParameter(int value) : PostgresParameter(int64_t{value}) {}
  PostgresParameter(uint32_t value) : PostgresParameter(int64_t{value}) {}
  PostgresParameter(uint64_t value) : PostgresParameter(static_cast<int64_t>(value)) {}
  PostgresParameter(std::string_view text) : text_(text) {}
  PostgresParameter(const std::string& text) : text_(text) {}
  PostgresParameter(PostgresBytes bytes) : bytes_(bytes.bytes), is_binary_(true) {}

  bool is_binary() const { return is_binary_; }
  const char* data() const { return is_binary_ ? bytes_.data() : text_.c_str(); }
  size_t size() const { return is_binary_ ? bytes_.size() : text_.size(); }

 private:
  std::string text_;
  std::string_view bytes_;
  bool is_binary_ = false;
};

// The rows of the result of a query, from 0.
class PostgresResult {
 public:
  explicit PostgresResult(PGresult* result) : result_(result) {}

  const PGresult* get() const { return result_.get(); }
  ExecStatusType outcome() const { return PQresultStatus(result_.get()); }
  int row_count() const { return PQntuples(result_.get()); }
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  int64_t integer(int row, int column) const;
  uint64_t bits(int row, int column) const { return static_cast<uint64_t>(integer(row, column)); }
  std::string_view bytes(int row, int column) const;

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };

  std::unique_ptr<PGresult, Clear> result_;
};

// "the PostgreSQL database 'shop' on host 'db'": without the password that a connection string may
// have.
std::string DescribePostgresDatabase(const std::string& place);

// A connection to a database. Errors are sentences. Unavailable: the server does not answer, or has
// ended the connection or the query, or is read-only; a new connection may help. Others:
// ResourceExhausted (full), PermissionDenied (not allowed, wrong password), NotFound (no such
// table), InvalidArgument (no such column, a value that a column does not take), FailedPrecondition
// (a row breaks a constraint). Not thread safe.
class PostgresConnection {
 public:
  // `place`: a connection string of libpq. `description`: of the use, for messages. `timeout`:
  // how long the server may wait for locks, and for the end of an idle transaction. When it has not
  // answered a statement for this time, and no new connection either, it counts as lost; also when
  // the new connection is one to a server that does not know this one.
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Connect(const std::string& place,
                                                                     std::string description,
                                                                     absl::Duration timeout);

  // `sql` has parameters $1, $2, .... `is_binary`: of the columns of the result.
  absl::StatusOr<PostgresResult> Query(const char* sql,
                                       std::initializer_list<PostgresParameter> parameters = {},
                                       bool is_binary = false);
  // Runs statements without parameters and results.
  absl::Status Execute(const char* sql);
  // The same for a query with parameters.
  absl::Status Run(const char* sql, std::initializer_list<PostgresParameter> parameters) {
    return Query(sql, parameters).status();
  }
  // Runs a COPY ... FROM STDIN with the pieces that `next` returns, up to an empty one.
  absl::Status Copy(const char* sql, absl::FunctionRef<std::string_view()> next);
  // Calls end with Cancelled, and so does the connection, when the descriptor is readable.
  void InterruptBy(int descriptor) { interrupt_ = descriptor; }
  // The process of the server for this connection.
  int64_t process_id() const { return process_id_; }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  PostgresConnection(PGconn* connection, std::string place, std::string description,
                     absl::Duration timeout)
      : connection_(connection),
        place_(std::move(place)),
        description_(std::move(description)),
        timeout_(timeout) {}

  // The result of the statements that were sent: the first error, or the last result.
  absl::StatusOr<PostgresResult> Await(bool was_sent);
  // Waits until PQgetResult does not wait. Returns false if the server is lost.
  bool AwaitAnswer();
  // Whether the server answers a new connection, and has this one still.
  bool IsServed() const;
  absl::Status LostError() const;
  absl::Status Error(const PGresult* result) const;
  absl::Status Error(absl::StatusCode code, std::string_view message) const;

  std::unique_ptr<PGconn, Finish> connection_;
  std::string place_;
  std::string description_;
  absl::Duration timeout_;
  int64_t process_id_ = 0;
  int interrupt_ = -1;
  bool is_interrupted_ = false;
  bool is_lost_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_POSTGRES_H_
