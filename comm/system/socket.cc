#include "comm/system/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

absl::Status Failed(std::string_view what, int error) {
  if (error == EMFILE || error == ENFILE) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: %s; allow more open files (ulimit -n)", what, std::strerror(error)));
  }
  if (error == ENOBUFS || error == ENOMEM) {
    return absl::ResourceExhaustedError(absl::StrFormat("%s: %s", what, std::strerror(error)));
  }
  return absl::UnavailableError(absl::StrFormat("%s: %s", what, std::strerror(error)));
}

void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

FileDescriptor NewSocket(int family) {
  FileDescriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // A connection that is closing, or one of another process that got this port by chance, is no
  // reason not to listen at it.
  if (socket.is_open()) SetOption(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  return socket;
}

// Returns true if a socket is connected to itself. That happens when it dials a process of this
// machine that does not listen yet, and gets the dialed port as its own.
bool IsConnectedToItself(int fd) {
  SocketAddress own;
  SocketAddress peer;
  own.size = peer.size = sizeof(sockaddr_storage);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own.storage), &own.size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size) == 0 &&
         (own.family() == AF_INET || own.family() == AF_INET6) && own.size == peer.size &&
         std::memcmp(&own.storage, &peer.storage, own.size) == 0;
}

// AlreadyExists: the address is in use.
absl::StatusOr<FileDescriptor> ListenOnce(const SocketAddress& address) {
  constexpr int kBacklog = 1024;
  FileDescriptor socket = NewSocket(address.family());
  if (!socket.is_open()) {
    if (errno == EAFNOSUPPORT)
      return absl::NotFoundError("the system does not support this kind of address");
    return Failed("cannot create a socket", errno);
  }
  if (address.family() == AF_INET6) SetOption(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (bind(socket.get(), address.get(), address.size) != 0 || listen(socket.get(), kBacklog) != 0) {
    const int error = errno;
    const std::string what = absl::StrFormat("cannot listen at %s", address.ToString());
    const std::string why = absl::StrFormat("%s: %s", what, std::strerror(error));
    if (error == EADDRINUSE) return absl::AlreadyExistsError(why);
    if (error == EADDRNOTAVAIL) return absl::NotFoundError(why);
    return Failed(what, error);
  }
  return socket;
}

}  // namespace

absl::StatusOr<FileDescriptor> Listen(const SocketAddress& address) {
  // Of two processes that begin to listen at one address at the same moment, the system may refuse
  // both. So an address is in use if it is so again, after pauses of different lengths.
  constexpr int kTries = 8;
  constexpr uint32_t kLongestPauseUs = 2000;
  for (int tries = 1;; ++tries) {
    absl::StatusOr<FileDescriptor> socket = ListenOnce(address);
    if (!absl::IsAlreadyExists(socket.status())) return socket;
    if (tries == kTries) return absl::UnavailableError(socket.status().message());
    usleep(randombytes_uniform(kLongestPauseUs));
  }
}

absl::StatusOr<FileDescriptor> Accept(const FileDescriptor& listener, SocketAddress* peer) {
  while (true) {
    peer->size = sizeof(sockaddr_storage);
    FileDescriptor socket(accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer->storage),
                                  &peer->size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.is_open()) {
      SetUpConnection(socket.get());
      return socket;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return FileDescriptor();
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return Failed("cannot accept a connection", errno);
    }
    // Otherwise the connection failed before it was accepted: take the next one.
  }
}

absl::StatusOr<FileDescriptor> StartConnect(const SocketAddress& address) {
  FileDescriptor socket = NewSocket(address.family());
  if (!socket.is_open()) return Failed("cannot create a socket", errno);
  SetUpConnection(socket.get());
  if (connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
    return Failed(absl::StrFormat("connecting to %s", address.ToString()), errno);
  }
  return socket;
}

absl::Status FinishConnect(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0 && IsConnectedToItself(fd)) error = ECONNREFUSED;
  return error == 0 ? absl::OkStatus() : Failed("connecting", error);
}

void SetUpConnection(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  int family = AF_UNSPEC;
  socklen_t size = sizeof(family);
  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  if (family == AF_UNIX) {
    constexpr int kSendBufferBytes = 4 << 20;  // the default is slower for frames of this size
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferBytes, sizeof(kSendBufferBytes)) !=
        0) {
      SetOption(fd, SOL_SOCKET, SO_SNDBUF, kSendBufferBytes);
    }
  } else {
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // the buffers are best left to the system
  }
}

}  // namespace headway::internal
