#ifndef HEADWAY_OPERATORS_IO_SOCKET_RECEIVER_H_
#define HEADWAY_OPERATORS_IO_SOCKET_RECEIVER_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/system/file_descriptor.h"
#include "engine/step/activator.h"

namespace headway::internal {

// Lines without their ends, in one piece of memory that is used again.
class LineBlock {
 public:
  // Adds bytes of a line, which EndLine ends.
  void Append(std::string_view piece) { bytes_.append(piece); }
  // A '\r' at the end of the line is removed.
  void EndLine();
  void Clear();

  size_t size() const { return ends_.size(); }
  size_t byte_count() const { return bytes_.size(); }
  std::string_view operator[](size_t i) const;

 private:
  std::string bytes_;
  std::vector<size_t> ends_;  // of the lines, in bytes_
};

// The thread of SocketLines: accepts clients or connects, and receives lines.
//
// Thread safety: one thread may call Take, and the destructor after that.
class SocketReceiver {
 public:
  struct Options {
    std::string address;
    bool listens = true;
    size_t max_line_bytes = 0;
    // Of one that listens.
    int max_clients = 1;
    std::function<void(const std::string&)> on_listening = nullptr;
    // Of one that connects.
    absl::Duration retry_interval = absl::InfiniteDuration();
    std::function<void(const absl::Status&)> on_problem = nullptr;
  };

  // InvalidArgument: an option is out of its range. Other errors come from Take.
  static absl::StatusOr<std::unique_ptr<SocketReceiver>> Start(Options options,
                                                               ThreadActivator activator);
  // Closes all sockets, and waits for the thread, which does not wait for peers.
  ~SocketReceiver();
  SocketReceiver(const SocketReceiver&) = delete;
  SocketReceiver& operator=(const SocketReceiver&) = delete;

  // Replaces `lines` by those that were received since the last call. The activator runs when there
  // are some. Returns false if no more will follow.
  absl::StatusOr<bool> Take(LineBlock& lines);

 private:
  struct Connection;
  class Polled;

  SocketReceiver(Options options, ThreadActivator activator)
      : options_(std::move(options)), activator_(std::move(activator)) {}

  void Run();
  absl::Status ListenAndServe();
  absl::Status Serve(const std::vector<FileDescriptor>& listeners);
  absl::Status ConnectAndFollow();
  absl::StatusOr<FileDescriptor> ConnectOnce();
  absl::Status Follow(Connection& connection);
  // Accepts clients as long as there is room for them. Returns false if the system has no
  // descriptors left.
  bool AcceptClients(const FileDescriptor& listener, std::vector<Connection>& clients);
  // Reads once. Returns false at the end of the connection.
  absl::StatusOr<bool> Receive(Connection& connection);
  absl::Status AddLines(Connection& connection, std::string_view bytes);

  void Report(const absl::Status& problem) const;
  bool IsFull();
  // Returns true when that time has passed, false if the source ends.
  bool Sleep(absl::Duration duration);
  void Wake() const;

  const Options options_;
  const ThreadActivator activator_;
  FileDescriptor wake_;               // an eventfd
  std::unique_ptr<char[]> received_;  // of one read
  std::atomic<bool> ends_{false};

  std::mutex mutex_;  // guards the rest
  LineBlock waiting_;
  bool is_over_ = false;
  absl::Status outcome_;  // if it is over
  std::thread thread_;    // last: it uses the others
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_SOCKET_RECEIVER_H_
