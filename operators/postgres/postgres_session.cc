#include "operators/postgres/postgres_session.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/postgres.h"

namespace headway::internal {
namespace {

using std::chrono::steady_clock;

constexpr int kFirstWaitMs = 20;
constexpr int kLongestWaitMs = 1000;
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);  // a time can be added

}  // namespace

PostgresSession::PostgresSession(PostgresAddress address, SetUp set_up)
    : address_(std::move(address)),
      set_up_(std::move(set_up)),
      interrupt_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

absl::Status PostgresSession::Call(absl::FunctionRef<absl::Status(PostgresConnection&)> f) {
  if (!interrupt_.is_open()) {
    return absl::ResourceExhaustedError("out of file descriptors; raise the limit of the process");
  }
  std::optional<steady_clock::time_point> end;
  int wait_ms = kFirstWaitMs;
  while (true) {
    absl::Status status = connection_ == nullptr ? Connect() : absl::OkStatus();
    if (status.ok()) status = f(*connection_);
    if (status.ok()) return status;
    connection_.reset();
    const steady_clock::time_point now = steady_clock::now();
    if (!end.has_value()) {
      end = now + absl::ToChronoNanoseconds(std::min(address_.timeout, kLongestTimeout));
    }
    if (!absl::IsUnavailable(status) || now >= *end) return status;
    pollfd interrupt = {interrupt_.get(), POLLIN, 0};
    if (poll(&interrupt, 1, wait_ms) > 0) return status;
    wait_ms = std::min(2 * wait_ms, kLongestWaitMs);
  }
}

void PostgresSession::Interrupt() { eventfd_write(interrupt_.get(), 1); }

absl::Status PostgresSession::Connect() {
  auto connection =
      PostgresConnection::Connect(address_.connection, address_.description, address_.timeout);
  if (!connection.ok()) return connection.status();
  (*connection)->InterruptBy(interrupt_.get());
  // The server may have another encoding.
  HEADWAY_RETURN_IF_ERROR((*connection)
                              ->Execute("SET client_encoding = 'UTF8'; SET timezone = 'UTC'; "
                                        "SET datestyle = 'ISO'; SET bytea_output = 'hex'"));
  HEADWAY_RETURN_IF_ERROR(set_up_(**connection));
  connection_ = *std::move(connection);
  return absl::OkStatus();
}

}  // namespace headway::internal
