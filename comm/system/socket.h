#ifndef HEADWAY_COMM_SYSTEM_SOCKET_H_
#define HEADWAY_COMM_SYSTEM_SOCKET_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Stream sockets that do not block and are closed in programs that this one starts.

// Listens at an address. Unavailable: it is in use. NotFound: it is not of this machine.
absl::StatusOr<FileDescriptor> Listen(const SocketAddress& address);

// Accepts a connection, and says where it comes from; an invalid one if there is none.
// ResourceExhausted: no descriptors are left.
absl::StatusOr<FileDescriptor> Accept(const FileDescriptor& listener, SocketAddress* peer);

// Starts to connect. The socket can be written when it is decided; then FinishConnect tells how it
// went. Unavailable: it is decided already.
absl::StatusOr<FileDescriptor> StartConnect(const SocketAddress& address);
absl::Status FinishConnect(int fd);

// Makes any connected stream socket one of these: sets it up for frames.
void SetUpConnection(int fd);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_SOCKET_H_
