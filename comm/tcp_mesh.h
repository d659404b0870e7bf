#ifndef HEADWAY_COMM_TCP_MESH_H_
#define HEADWAY_COMM_TCP_MESH_H_

#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "headway/comm/mesh_options.h"
#include "headway/comm/transport.h"

namespace headway::internal {

// The transport of a process of a cluster: one stream connection to each other process, on one
// libuv loop that has no thread of its own.
class TcpMesh : public Transport {
 public:
  // Listens at addresses[process_id] and connects to the other processes, which may start later, in
  // any order; returns when every process has been shaken hands with. An address is "host:port" or
  // "[ipv6]:port".
  static absl::StatusOr<std::unique_ptr<TcpMesh>> Connect(const MeshOptions& options,
                                                          std::span<const std::string> addresses);

  // The same over connected stream sockets, sockets[p] to process p (this process's own is not
  // used). Takes the sockets, also if it fails.
  static absl::StatusOr<std::unique_ptr<TcpMesh>> FromSockets(const MeshOptions& options,
                                                              std::span<const int> sockets);
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_TCP_MESH_H_
