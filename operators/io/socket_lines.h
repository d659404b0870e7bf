#ifndef HEADWAY_OPERATORS_IO_SOCKET_LINES_H_
#define HEADWAY_OPERATORS_IO_SOCKET_LINES_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "operators/io/socket_receiver.h"

namespace headway {

// Receives each problem that does not end the run: a client that was disconnected, a connection
// that was lost or refused. Called on the thread of the source; must not block or throw.
using SocketProblemHook = std::function<void(const absl::Status& problem)>;

struct SocketListenOptions {
  // A client with a longer line is disconnected. The line is dropped.
  size_t max_line_bytes = size_t{1} << 20;
  // Further clients wait in the system's queue until one leaves. At least 1.
  int max_clients = 1000;
  // Called once the source listens, with the address: that has the port if the port was 0. Called
  // on the thread of the source; must not block or throw.
  std::function<void(const std::string& address)> on_listening = nullptr;
  SocketProblemHook on_problem = nullptr;
};

struct SocketConnectOptions {
  // A longer line ends the run with InvalidArgument.
  size_t max_line_bytes = size_t{1} << 20;
  // The time until the next attempt, after a connection ended or could not be made.
  // InfiniteDuration: the input ends with the connection, and a failure ends the run.
  absl::Duration retry_interval = absl::Seconds(1);
  SocketProblemHook on_problem = nullptr;
};

// Lines from stream sockets, as Stream<std::string>, without their ends ("\n" or "\r\n"). Addresses
// are "host:port", "[ipv6]:port" or "unix:/path":
//
//   scope.Input("lines", SocketLines::ListenAt("0.0.0.0:9000")) | ...
//   scope.Input("lines", SocketLines::ConnectTo("unix:/run/feed.sock")) | ...
//
// Worker 0 emits all lines; exchange them to use all workers. Lines of one connection keep their
// order. A thread of the source receives them. While the dataflow is slower than the peers, about
// 1 MiB of lines waits and the thread stops reading, so TCP slows the peers down. Each connection
// also holds the line that it is in the middle of, of at most max_line_bytes.
//
// A socket cannot be replayed. The source keeps no position: a line is emitted at most once, and a
// run that resumes has lost the lines that were received after the last commit. Where each line
// counts, put a log between: a file for TailLines, or Kafka.
//
// ListenAt accepts clients until the run stops. A line without an end is emitted when the client
// closes its side; it is dropped when the connection breaks. A stale Unix socket of a process that
// died is replaced, and the socket is removed at the end. ConnectTo reads from one peer and
// reconnects; see SocketConnectOptions. A stop or a failure closes all sockets at once; lines that
// were received and not emitted are lost.
//
// There is no authentication and no encryption: listen at a loopback address or in a trusted
// network.
//
// Errors name the address. InvalidArgument: it is malformed, or an option is out of its range.
// Unavailable: the address is in use or the host is unknown. NotFound: this machine does not have
// the address.
class SocketLines {
 public:
  using Record = std::string;

  static SocketLines ListenAt(std::string address, SocketListenOptions options = {});
  static SocketLines ConnectTo(std::string address, SocketConnectOptions options = {});

  class Reader {
   public:
    // `receiver` is null on a worker that has no part of the input.
    explicit Reader(std::unique_ptr<internal::SocketReceiver> receiver)
        : receiver_(std::move(receiver)) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);

   private:
    std::unique_ptr<internal::SocketReceiver> receiver_;
    internal::LineBlock lines_;
    size_t next_ = 0;  // of lines_
  };

  absl::StatusOr<Reader> Open(const SourceContext& context, const std::optional<std::string>&);

 private:
  explicit SocketLines(internal::SocketReceiver::Options options) : options_(std::move(options)) {}

  internal::SocketReceiver::Options options_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_SOCKET_LINES_H_
