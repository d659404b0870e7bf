#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_SESSION_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_SESSION_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/file_descriptor.h"
#include "engine/store/postgres.h"

namespace headway::internal {

// How to reach a server.
struct PostgresAddress {
  std::string connection;   // a connection string of libpq
  std::string description;  // of the use, for messages
  absl::Duration timeout;   // how long a server that is away, or a lock, is waited for
};

// A connection that is made again when it is lost. Used by one thread at a time, except for
// Interrupt.
class PostgresSession {
 public:
  using SetUp = absl::AnyInvocable<absl::Status(PostgresConnection&)>;

  // `set_up` is called with each new connection.
  PostgresSession(PostgresAddress address, SetUp set_up);
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  // Calls f with the connection until it succeeds, or fails otherwise than with Unavailable, or
  // `timeout` has passed since its first failure.
  absl::Status Call(absl::FunctionRef<absl::Status(PostgresConnection&)> f);
  // Makes the present call end, and all later ones, with an error. Thread safe.
  void Interrupt();

 private:
  absl::Status Connect();

  const PostgresAddress address_;
  SetUp set_up_;
  const FileDescriptor interrupt_;  // readable when the session ends
  std::unique_ptr<PostgresConnection> connection_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_SESSION_H_
