#ifndef HEADWAY_COMM_MESH_LISTENER_H_
#define HEADWAY_COMM_MESH_LISTENER_H_

#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/event_loop.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Listens at all addresses of a process.
//
// Thread safety: that of its loop.
class Listener {
 public:
  // Listens at the addresses that this machine has. NotFound: it has none of them. Unavailable: one
  // is in use.
  static absl::StatusOr<std::unique_ptr<Listener>> Create(EventLoop& loop,
                                                          std::span<const SocketAddress> addresses);

  struct Accepted {
    FileDescriptor socket;
    SocketAddress peer;
  };
  // The connections since the last call, up to kAcceptedTogether of each address; the next call
  // returns the others. ResourceExhausted: no descriptors are left.
  static constexpr int kAcceptedTogether = 16;
  absl::StatusOr<std::vector<Accepted>> Accept();

 private:
  struct Place {
    Place(EventLoop& loop, FileDescriptor listening);
    FileDescriptor socket;  // outlives watcher
    Watcher watcher;
  };
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_LISTENER_H_
