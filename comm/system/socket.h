#ifndef HEADWAY_COMM_SYSTEM_SOCKET_H_
#define HEADWAY_COMM_SYSTEM_SOCKET_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Non-blocking stream sockets that child processes do not inherit.

// Listens at an address. Unavailable: it is in use. NotFound: this machine does not have it.
absl::StatusOr<FileDescriptor> Listen(const SocketAddress& address);

// Accepts a connection, and returns the peer's address; an invalid descriptor if there is none.
// ResourceExhausted: no descriptors are left.
absl::StatusOr<FileDescriptor> Accept(const FileDescriptor& listener, SocketAddress* peer);

// Starts to connect. When the socket is writable, FinishConnect returns the outcome. Unavailable:
// it failed at once.
absl::StatusOr<FileDescriptor> StartConnect(const SocketAddress& address);
absl::Status FinishConnect(int fd);

// Sets up a connected stream socket for frames.
void SetUpConnection(int fd);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_SOCKET_H_
