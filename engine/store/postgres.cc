#ifdef HEADWAY_HAS_POSTGRES

#include "engine/store/postgres.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "format.h"

namespace headway::internal {
namespace {

// The messages of libpq end with a line feed, and may have several lines.
std::string OneLine(std::string_view message) {
  std::string line;
  for (const char c : message) line += c == '\n' || c == '\t' ? ' ' : c;
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

absl::StatusCode CodeOf(std::string_view state) {
  const std::string_view kind = state.substr(0, 2);
  // No answer; the server ends or starts; it has no connection left; conflicts of transactions;
  // a lock was not free in time; the server is read-only, as while a standby takes over.
  if (state.empty() || kind == "08" || kind == "57" || state == "53300" || kind == "40" ||
      state == "55P03" || state == "25P03" || state == "25006") {
    return absl::StatusCode::kUnavailable;
  }
  if (kind == "53" || kind == "54") return absl::StatusCode::kResourceExhausted;
  if (kind == "28" || state == "42501") return absl::StatusCode::kPermissionDenied;
  if (state == "42P01" || state == "3F000") return absl::StatusCode::kNotFound;
  // A value, a column, a type or a target of ON CONFLICT that the table does not have; a view.
  if (kind == "22" || state == "42703" || state == "42804" || state == "42P10" ||
      state == "42809") {
    return absl::StatusCode::kInvalidArgument;
  }
  if (kind == "23") return absl::StatusCode::kFailedPrecondition;
  if (kind == "XX") return absl::StatusCode::kDataLoss;
  return absl::StatusCode::kUnknown;
}

// As the server and poll take it. They take 0 as no limit.
int MillisecondsOf(absl::Duration timeout) {
  return static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout), 1, std::numeric_limits<int>::max()));
}

// How to reach a server.
class ConnectionParameters {
 public:
  // `place` may set the parameters before it otherwise. A server that is gone without a word is
  // noticed after `timeout`, and so is one that has taken a statement before it was gone.
  ConnectionParameters(const std::string& place, absl::Duration timeout)
      : place_(place),
        connect_(std::to_string(std::clamp(MillisecondsOf(timeout) / 1000, 2, 5))),
        timeout_(std::to_string(MillisecondsOf(timeout))),
        idle_(std::to_string(std::clamp(MillisecondsOf(timeout) / 2000, 1, 600))),
        interval_(std::to_string(std::clamp(MillisecondsOf(timeout) / 6000, 1, 60))) {}

  // Calls PQconnectdbParams, or another function with these arguments.
  template <class F>
  auto Use(F&& f) const {
    constexpr size_t kParameters = 7;
    const std::array<const char*, kParameters + 1> names = {
        "connect_timeout",  "tcp_user_timeout", "keepalives_idle", "keepalives_interval",
        "keepalives_count", "application_name", "dbname",          nullptr};
    const std::array<const char*, kParameters + 1> values = {
        connect_.c_str(), timeout_.c_str(), idle_.c_str(), interval_.c_str(), "3",
        "headway",        place_.c_str(),   nullptr};
    return f(names.data(), values.data(), /*expand_dbname=*/1);
  }

 private:
  const std::string& place_;
  const std::string connect_;  // seconds
  const std::string timeout_;  // milliseconds
  const std::string idle_;     // seconds, as the next one
  const std::string interval_;
};

// The parameters of a connection string, as libpq reads it.
class ConnectionOptions {
 public:
  explicit ConnectionOptions(const std::string& place)
      : options_(PQconninfoParse(place.c_str(), &error_)) {}
  ~ConnectionOptions() {
    PQconninfoFree(options_);
    PQfreemem(error_);
  }
  ConnectionOptions(const ConnectionOptions&) = delete;
  ConnectionOptions& operator=(const ConnectionOptions&) = delete;

  // Up to one without a keyword. Null if the string is malformed.
  const PQconninfoOption* first() const { return options_; }
  std::string error() const { return error_ == nullptr ? "" : OneLine(error_); }

 private:
  char* error_ = nullptr;
  PQconninfoOption* options_;
};

std::string_view AdviceOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return "see that the server runs and can be reached, then start the run again";
    case absl::StatusCode::kResourceExhausted:
      return "make room on the server, then start the run again";
    case absl::StatusCode::kPermissionDenied:
      return "allow the user of the connection to create and change tables";
    case absl::StatusCode::kNotFound:
      return "create it, or see that its name is right";
    case absl::StatusCode::kInvalidArgument:
      return "see that the columns of the table fit";
    case absl::StatusCode::kFailedPrecondition:
      return "see that the rows fit the constraints of the table";
    case absl::StatusCode::kDataLoss:
      return "restore the database from a backup";
    default:
      return "see the log of the server";
  }
}

}  // namespace

int64_t PostgresResult::integer(int row, int column) const {
  return std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}

std::string_view PostgresResult::bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

std::string DescribePostgresDatabase(const std::string& place) {
  std::string database;
  std::string host;
  const ConnectionOptions options(place);
  for (const PQconninfoOption* option = options.first();
       option != nullptr && option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    if (std::string_view(option->keyword) == "dbname") database = option->val;
    if (std::string_view(option->keyword) == "host") host = option->val;
  }
  return Format("the PostgreSQL database '%s' on host '%s'", database, host);
}

absl::StatusOr<std::unique_ptr<PostgresConnection>> PostgresConnection::Connect(
    const std::string& place, std::string description, absl::Duration timeout) {
  if (const ConnectionOptions options(place); options.first() == nullptr) {
    return absl::InvalidArgumentError(Format(
        "cannot use %s: the connection string is malformed: %s", description, options.error()));
  }
  std::unique_ptr<PostgresConnection> connection(
      new PostgresConnection(ConnectionParameters(place, timeout).Use(PQconnectdbParams), place,
                             std::move(description), timeout));
  PGconn* connected = connection->connection_.get();
  if (PQstatus(connected) != CONNECTION_OK) {
    // libpq does not say the state. A server that answers others has refused the password, the user
    // or the database.
    const std::string_view message = PQerrorMessage(connected);
    const bool is_refused =
        (PQconnectionUsedPassword(connected) != 0 || PQconnectionNeedsPassword(connected) != 0 ||
         message.find("does not exist") != std::string_view::npos) &&
        ConnectionParameters(place, timeout).Use(PQpingParams) == PQPING_OK;
    if (!is_refused) return connection->Error(nullptr);
    return absl::PermissionDeniedError(
        Format("cannot use %s: %s; give the right database, user and password",
               connection->description_, OneLine(message)));
  }
  PQsetnonblocking(connected, 1);
  // Notices, such as "table exists", are of no interest.
  PQsetNoticeProcessor(connected, [](void*, const char*) {}, nullptr);
  const int milliseconds = MillisecondsOf(timeout);
  const std::string begin = Format(
      "SET synchronous_commit = on; SET lock_timeout = %d;"
      "SET idle_in_transaction_session_timeout = %d; SELECT pg_backend_pid()",
      milliseconds, milliseconds);
  const absl::StatusOr<PostgresResult> begun =
      connection->Await(PQsendQuery(connected, begin.c_str()) == 1);
  if (!begun.ok()) return begun.status();
  connection->process_id_ = begun->integer(0, 0);
  return connection;
}

absl::StatusOr<PostgresResult> PostgresConnection::Query(
    const char* sql, std::initializer_list<PostgresParameter> parameters, bool is_binary) {
  std::vector<const char*> values;
  std::vector<int> sizes;
  std::vector<int> formats;
  for (const PostgresParameter& parameter : parameters) {
    values.push_back(parameter.data());
    sizes.push_back(static_cast<int>(parameter.size()));
    formats.push_back(parameter.is_binary() ? 1 : 0);
  }
  return Await(PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr,
                                 values.data(), sizes.data(), formats.data(),
                                 is_binary ? 1 : 0) == 1);
}

absl::Status PostgresConnection::Execute(const char* sql) {
  return Await(PQsendQuery(connection_.get(), sql) == 1).status();
}

absl::StatusOr<PostgresResult> PostgresConnection::Await(bool was_sent) {
  PostgresResult last(nullptr);
  absl::Status status = was_sent ? absl::OkStatus() : Error(nullptr);
  while (was_sent) {
    if (!AwaitAnswer()) return LostError();
    PGresult* answer = PQgetResult(connection_.get());
    if (answer == nullptr) break;
    last = PostgresResult(answer);
    const ExecStatusType outcome = PQresultStatus(answer);
    if (outcome != PGRES_TUPLES_OK && outcome != PGRES_COMMAND_OK && status.ok()) {
      status = Error(answer);
    }
    if (outcome == PGRES_COPY_IN) break;  // the connection is broken: it would be the result again
  }
  if (!status.ok()) return status;
  return last;
}

absl::Status PostgresConnection::Copy(const char* sql, absl::FunctionRef<std::string_view()> next) {
  PGconn* const connection = connection_.get();
  if (PQsendQuery(connection, sql) != 1) return Error(nullptr);
  if (!AwaitAnswer()) return LostError();
  const PostgresResult begun(PQgetResult(connection));
  if (begun.outcome() != PGRES_COPY_IN) {
    absl::Status status = Error(begun.get());
    static_cast<void>(Await(true));
    return status;
  }
  // The server reads a piece while the next one is sent.
  constexpr size_t kPieceBytes = 64 * 1024;
  bool is_open = true;
  for (std::string_view rows = next(); is_open && !rows.empty(); rows = next()) {
    while (is_open && !rows.empty()) {
      const std::string_view piece = rows.substr(0, kPieceBytes);
      rows.remove_prefix(piece.size());
      // 0 is a lack of memory here. The end says why.
      is_open = PQputCopyData(connection, piece.data(), static_cast<int>(piece.size())) == 1;
      if (is_open && !AwaitAnswer()) return LostError();
    }
  }
  static_cast<void>(PQputCopyEnd(connection, is_open ? nullptr : "the rows cannot be sent"));
  return Await(true).status();
}

bool PostgresConnection::AwaitAnswer() {
  PGconn* const connection = connection_.get();
  while (!is_lost_ && !is_interrupted_) {
    // An error is part of the result.
    const int unsent = PQflush(connection);
    if (unsent < 0 || (unsent == 0 && PQisBusy(connection) == 0)) return true;
    const auto events = static_cast<short>(unsent == 0 ? POLLIN : POLLIN | POLLOUT);
    std::array<pollfd, 2> waits = {{{PQsocket(connection), events, 0}, {interrupt_, POLLIN, 0}}};
    const int ready = poll(waits.data(), waits.size(), MillisecondsOf(timeout_));
    is_interrupted_ = ready > 0 && waits[1].revents != 0;
    if (is_interrupted_) return false;
    if (ready > 0 && PQconsumeInput(connection) == 0) return true;
    // A long statement is no harm as long as the server answers others.
    is_lost_ = ready == 0 && !IsServed();
  }
  return false;
}

bool PostgresConnection::IsServed() const {
  constexpr int kAnswerMs = 5000;
  const ConnectionParameters parameters(place_, timeout_);
  if (parameters.Use(PQpingParams) != PQPING_OK) return false;
  const std::unique_ptr<PGconn, Finish> other(parameters.Use(PQconnectdbParams));
  if (PQstatus(other.get()) != CONNECTION_OK) return true;  // it may have no connection left
  // After a failover it is another server.
  const std::string sql = Format("SELECT FROM pg_stat_activity WHERE pid = %d", process_id_);
  if (PQsendQuery(other.get(), sql.c_str()) != 1) return false;
  while (PQisBusy(other.get()) != 0) {
    std::array<pollfd, 2> waits = {{{PQsocket(other.get()), POLLIN, 0}, {interrupt_, POLLIN, 0}}};
    if (poll(waits.data(), waits.size(), kAnswerMs) <= 0) return false;
    if (waits[1].revents != 0) return true;  // the caller sees that too
    if (PQconsumeInput(other.get()) == 0) return false;
  }
  return PostgresResult(PQgetResult(other.get())).row_count() > 0;
}

absl::Status PostgresConnection::LostError() const {
  if (is_interrupted_) return absl::CancelledError("the run ends");
  return Error(absl::StatusCode::kUnavailable,
               Format("the server has not answered for %s", absl::FormatDuration(timeout_)));
}

absl::Status PostgresConnection::Error(const PGresult* result) const {
  // Without a connection there is no state: nobody knows if the server has refused it for good.
  const char* state = result == nullptr || PQstatus(connection_.get()) != CONNECTION_OK
                          ? ""
                          : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message =
      result == nullptr ? PQerrorMessage(connection_.get()) : PQresultErrorMessage(result);
  return Error(CodeOf(state == nullptr ? "" : state), OneLine(message));
}

absl::Status PostgresConnection::Error(absl::StatusCode code, std::string_view message) const {
  return absl::Status(code, Format("cannot use %s: %s; %s", description_, message, AdviceOf(code)));
}

}  // namespace headway::internal

#endif  // HEADWAY_HAS_POSTGRES
