#include "operators/io/socket_receiver.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "comm/system/address.h"
#include "comm/system/name_lookup.h"
#include "comm/system/socket.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// Lines that wait for the worker. The thread reads no more when it has so many bytes of them.
constexpr size_t kMaxWaitingBytes = size_t{1} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// How long the listener rests when the system has no descriptors left.
constexpr absl::Duration kRest = absl::Milliseconds(100);
// A stop is noticed so soon while a name is looked up.
constexpr std::chrono::milliseconds kLookupSlice{20};

constexpr std::string_view kUnixScheme = "unix:";

absl::Status WithAddress(const absl::Status& status, std::string_view what,
                         const std::string& address) {
  return absl::Status(status.code(), absl::StrCat(absl::string_view(what.data(), what.size()), " '",
                                                  address, "': ", status.message()));
}

absl::StatusOr<SocketAddress> UnixAddress(std::string_view path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the path of a Unix socket must have 1 to %d bytes", sizeof(name.sun_path) - 1));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  SocketAddress address;
  std::memcpy(&address.storage, &name, sizeof(name));
  address.size = sizeof(name);
  return address;
}

void SetPort(SocketAddress& address, uint16_t port) {
  if (address.family() == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
  }
}

uint16_t PortOf(int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) return 0;
  return ntohs(address.family() == AF_INET
                   ? reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port
                   : reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port);
}

// A peer that vanished without a word is found out within two minutes.
void FindDeadPeers(int fd) {
  const auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof(value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 6);
}

// Removes the socket of a process that died: nobody listens there.
void RemoveStaleSocket(const std::string& path, const SocketAddress& address) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bool is_stale =
      connect(probe.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED;
  if (is_stale) unlink(path.c_str());
}

}  // namespace

void LineBlock::EndLine() {
  const size_t begin = ends_.empty() ? 0 : ends_.back();
  if (bytes_.size() > begin && bytes_.back() == '\r') bytes_.pop_back();
  ends_.push_back(bytes_.size());
}

void LineBlock::Clear() {
  bytes_.clear();
  ends_.clear();
}

std::string_view LineBlock::operator[](size_t i) const {
  const size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(bytes_).substr(begin, ends_[i] - begin);
}

struct SocketReceiver::Connection {
  FileDescriptor socket;
  std::string peer;
  std::string line = {};  // the bytes of a line whose end is missing
};

// The descriptors of a call of poll, the first of which ends it when the receiver is woken.
class SocketReceiver::Polled {
 public:
  explicit Polled(const FileDescriptor& wake) : wake_(wake) {}

  void Reset() { entries_.assign(1, {wake_.get(), POLLIN, 0}); }
  // Returns its index.
  size_t Add(const FileDescriptor& descriptor, short events) {
    entries_.push_back({descriptor.get(), events, 0});
    return entries_.size() - 1;
  }
  void Poll(absl::Duration timeout) {
    const bool is_endless = timeout == absl::InfiniteDuration();
    // Rounded up: a wait that ends early would be repeated at once, again and again.
    const int64_t ms = is_endless ? -1
                                  : std::clamp<int64_t>(absl::ToInt64Milliseconds(timeout) + 1, 0,
                                                        int64_t{1} << 30);
    if (poll(entries_.data(), entries_.size(), static_cast<int>(ms)) < 0) {
      for (pollfd& entry : entries_) entry.revents = 0;  // interrupted
    }
    uint64_t count;
    if (entries_[0].revents != 0) (void)!read(wake_.get(), &count, sizeof(count));
  }
  bool IsReady(size_t index) const { return entries_[index].revents != 0; }

 private:
  const FileDescriptor& wake_;
  std::vector<pollfd> entries_;
};

absl::StatusOr<std::unique_ptr<SocketReceiver>> SocketReceiver::Start(Options options,
                                                                      ThreadActivator activator) {
  if (options.max_line_bytes < 1 || options.max_clients < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SocketLines at '", options.address, "': max_line_bytes and max_clients must be positive"));
  }
  if (!options.listens && options.retry_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("SocketLines at '", options.address, "': retry_interval must be positive"));
  }
  std::unique_ptr<SocketReceiver> receiver(
      new SocketReceiver(std::move(options), std::move(activator)));
  receiver->wake_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!receiver->wake_.is_open()) return absl::ErrnoToStatus(errno, "cannot create an eventfd");
  receiver->received_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
  receiver->thread_ = std::thread([receiver = receiver.get()] { receiver->Run(); });
  return receiver;
}

SocketReceiver::~SocketReceiver() {
  ends_ = true;
  if (!thread_.joinable()) return;
  Wake();
  thread_.join();
}

absl::StatusOr<bool> SocketReceiver::Take(LineBlock& lines) {
  lines.Clear();
  bool was_full;
  {
    const std::lock_guard lock(mutex_);
    was_full = waiting_.byte_count() >= kMaxWaitingBytes;
    std::swap(lines, waiting_);
    if (lines.size() == 0 && is_over_) {
      if (!outcome_.ok()) return outcome_;
      return false;
    }
  }
  if (was_full) Wake();
  return true;
}

void SocketReceiver::Wake() const {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

bool SocketReceiver::IsFull() {
  const std::lock_guard lock(mutex_);
  return waiting_.byte_count() >= kMaxWaitingBytes;
}

bool SocketReceiver::Sleep(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  Polled polled(wake_);
  for (absl::Duration left = duration; !ends_ && left > absl::ZeroDuration();
       left = std::min(duration, end - absl::Now())) {
    polled.Reset();
    polled.Poll(left);
  }
  return !ends_;
}

void SocketReceiver::Report(const absl::Status& problem) const {
  if (options_.on_problem != nullptr) options_.on_problem(problem);
}

void SocketReceiver::Run() {
  absl::Status outcome = options_.listens ? ListenAndServe() : ConnectAndFollow();
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    outcome_ = std::move(outcome);
  }
  activator_.Activate();
}

absl::Status SocketReceiver::ListenAndServe() {
  const std::string& name = options_.address;
  std::vector<FileDescriptor> listeners;
  if (name.starts_with(kUnixScheme)) {
    const std::string path = name.substr(kUnixScheme.size());
    const absl::StatusOr<SocketAddress> address = UnixAddress(path);
    if (!address.ok()) return WithAddress(address.status(), "cannot listen at", name);
    RemoveStaleSocket(path, *address);
    absl::StatusOr<FileDescriptor> listener = Listen(*address);
    if (!listener.ok()) return WithAddress(listener.status(), "cannot listen at", name);
    const absl::Cleanup remove = [&path] { unlink(path.c_str()); };
    listeners.push_back(*std::move(listener));
    if (options_.on_listening != nullptr) options_.on_listening(name);
    return Serve(listeners);
  }
  const absl::StatusOr<HostPort> where = ParseAddress(name, /*min_port=*/0);
  if (!where.ok()) return where.status();
  NameLookup lookup(*where);
  std::optional<NameLookup::Addresses> addresses;
  while (!addresses.has_value()) {
    if (ends_) return absl::OkStatus();
    addresses = lookup.WaitFor(kLookupSlice);
  }
  if (!addresses->ok()) return WithAddress(addresses->status(), "cannot listen at", name);
  // "localhost" has two addresses, one of which the machine may not support.
  absl::Status failure = absl::OkStatus();
  uint16_t port = where->port;
  for (SocketAddress& address : **addresses) {
    SetPort(address, port);
    absl::StatusOr<FileDescriptor> listener = Listen(address);
    if (listener.ok()) {
      port = PortOf(listener->get());
      listeners.push_back(*std::move(listener));
    } else if (failure.ok() || !absl::IsNotFound(listener.status())) {
      failure = listener.status();
    }
  }
  if (listeners.empty() || (!failure.ok() && !absl::IsNotFound(failure))) {
    return WithAddress(failure, "cannot listen at", name);
  }
  if (options_.on_listening != nullptr) {
    options_.on_listening(absl::StrCat(name.substr(0, name.rfind(':')), ":", port));
  }
  return Serve(listeners);
}

absl::Status SocketReceiver::Serve(const std::vector<FileDescriptor>& listeners) {
  std::vector<Connection> clients;
  Polled polled(wake_);
  size_t first = 0;  // the client that is served first, so that none is always last
  bool rests = false;
  while (!ends_) {
    const bool reads = !IsFull();
    const bool accepts = !rests && clients.size() < static_cast<size_t>(options_.max_clients);
    polled.Reset();
    // While the worker is behind, even a broken connection must not end the poll.
    for (const Connection& client : clients) {
      if (reads) polled.Add(client.socket, POLLIN);
    }
    const size_t first_listener = 1 + (reads ? clients.size() : 0);
    if (accepts) {
      for (const FileDescriptor& listener : listeners) polled.Add(listener, POLLIN);
    }
    polled.Poll(rests ? kRest : absl::InfiniteDuration());
    rests = false;
    const size_t count = clients.size();
    first = count == 0 ? 0 : first % count;
    for (size_t i = 0; reads && i < count; ++i) {
      const size_t index = (first + i) % count;
      if (!polled.IsReady(1 + index)) continue;
      if (IsFull()) {
        first = index;
        break;
      }
      const absl::StatusOr<bool> continues = Receive(clients[index]);
      if (!continues.ok()) Report(continues.status());
      if (!continues.value_or(false)) clients[index].socket.Close();
    }
    for (size_t i = 0; accepts && i < listeners.size(); ++i) {
      if (polled.IsReady(first_listener + i) && !AcceptClients(listeners[i], clients)) rests = true;
    }
    std::erase_if(clients, [](const Connection& client) { return !client.socket.is_open(); });
  }
  return absl::OkStatus();
}

bool SocketReceiver::AcceptClients(const FileDescriptor& listener,
                                   std::vector<Connection>& clients) {
  while (clients.size() < static_cast<size_t>(options_.max_clients)) {
    SocketAddress peer;
    absl::StatusOr<FileDescriptor> socket = Accept(listener, &peer);
    if (!socket.ok()) {
      Report(socket.status());
      return false;
    }
    if (!socket->is_open()) return true;
    if (peer.family() != AF_UNIX) FindDeadPeers(socket->get());
    clients.push_back({.socket = *std::move(socket), .peer = peer.ToString()});
  }
  return true;
}

absl::StatusOr<bool> SocketReceiver::Receive(Connection& connection) {
  const ssize_t got = read(connection.socket.get(), received_.get(), kReadBytes);
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    return absl::UnavailableError(
        absl::StrFormat("the connection to %s broke: %s", connection.peer, std::strerror(errno)));
  }
  if (got > 0) {
    HEADWAY_RETURN_IF_ERROR(AddLines(connection, {received_.get(), static_cast<size_t>(got)}));
    return true;
  }
  if (!connection.line.empty()) HEADWAY_RETURN_IF_ERROR(AddLines(connection, "\n"));
  return false;
}

absl::Status SocketReceiver::AddLines(Connection& connection, std::string_view bytes) {
  bool is_too_long = false;
  bool was_empty;
  bool has_lines;
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.size() == 0;
    while (!is_too_long) {
      const size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      is_too_long = connection.line.size() + piece.size() > options_.max_line_bytes;
      if (is_too_long) break;
      if (end == std::string_view::npos) {
        connection.line.append(piece);
        break;
      }
      waiting_.Append(connection.line);
      waiting_.Append(piece);
      waiting_.EndLine();
      connection.line.clear();
      bytes.remove_prefix(end + 1);
    }
    has_lines = waiting_.size() > 0;
  }
  // The worker takes all lines at once, so it knows of the first one.
  if (was_empty && has_lines) activator_.Activate();
  if (!is_too_long) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s sent a line of more than %d bytes to '%s', the limit of max_line_bytes",
                      connection.peer, options_.max_line_bytes, options_.address));
}

absl::Status SocketReceiver::ConnectAndFollow() {
  const bool retries = options_.retry_interval != absl::InfiniteDuration();
  while (!ends_) {
    absl::StatusOr<FileDescriptor> socket = ConnectOnce();
    absl::Status status = socket.status();
    if (socket.ok()) {
      Connection connection{.socket = *std::move(socket),
                            .peer = absl::StrCat("'", options_.address, "'")};
      status = Follow(connection);
    }
    if (ends_ || absl::IsInvalidArgument(status) || !retries)
      return ends_ ? absl::OkStatus() : status;
    if (!status.ok()) Report(status);
    Sleep(options_.retry_interval);
  }
  return absl::OkStatus();
}

absl::StatusOr<FileDescriptor> SocketReceiver::ConnectOnce() {
  const std::string& name = options_.address;
  std::vector<SocketAddress> addresses;
  if (name.starts_with(kUnixScheme)) {
    const absl::StatusOr<SocketAddress> address =
        UnixAddress(std::string_view(name).substr(kUnixScheme.size()));
    if (!address.ok()) return WithAddress(address.status(), "cannot connect to", name);
    addresses.push_back(*address);
  } else {
    const absl::StatusOr<HostPort> where = ParseAddress(name);
    if (!where.ok()) return where.status();
    NameLookup lookup(*where);
    std::optional<NameLookup::Addresses> found;
    while (!found.has_value()) {
      if (ends_) return absl::CancelledError();
      found = lookup.WaitFor(kLookupSlice);
    }
    if (!found->ok()) return WithAddress(found->status(), "cannot connect to", name);
    addresses = **std::move(found);
  }
  absl::Status failure = absl::UnavailableError("the host has no address");
  Polled polled(wake_);
  for (const SocketAddress& address : addresses) {
    absl::StatusOr<FileDescriptor> socket = StartConnect(address);
    if (!socket.ok()) {
      failure = socket.status();
      continue;
    }
    const absl::Time deadline = absl::Now() + kConnectTimeout;
    failure = absl::UnavailableError("the peer does not answer");
    while (absl::Now() < deadline) {
      polled.Reset();
      const size_t index = polled.Add(*socket, POLLOUT);
      polled.Poll(deadline - absl::Now());
      if (ends_) return absl::CancelledError();
      if (!polled.IsReady(index)) continue;
      failure = FinishConnect(socket->get());
      if (!failure.ok()) break;
      if (address.family() != AF_UNIX) FindDeadPeers(socket->get());
      return socket;
    }
  }
  return WithAddress(failure, "cannot connect to", name);
}

absl::Status SocketReceiver::Follow(Connection& connection) {
  Polled polled(wake_);
  while (true) {
    polled.Reset();
    const bool reads = !IsFull();
    const size_t index = reads ? polled.Add(connection.socket, POLLIN) : 0;
    polled.Poll(absl::InfiniteDuration());
    if (ends_) return absl::OkStatus();
    if (!reads || !polled.IsReady(index)) continue;
    const absl::StatusOr<bool> continues = Receive(connection);
    if (!continues.ok()) return continues.status();
    if (!*continues) return absl::OkStatus();
  }
}

}  // namespace headway::internal
