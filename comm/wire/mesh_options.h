#ifndef HEADWAY_COMM_WIRE_MESH_OPTIONS_H_
#define HEADWAY_COMM_WIRE_MESH_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace headway::internal {

// What the connections of a process need to know of it and of its cluster. All processes of a
// cluster have the same, but for process_id.
struct MeshOptions {
  int process_id = 0;
  int process_count = 1;
  int workers_per_process = 1;
  uint64_t generation = 0;   // incarnation of the cluster
  std::string cluster = {};  // its name
  std::string secret = {};   // proves membership; empty: none, and only loopback addresses
  bool insecure = false;     // any address without a secret
  absl::Duration connect_timeout = absl::Seconds(30);
  absl::Duration peer_timeout = absl::Seconds(10);  // silence after which a process is given up
  size_t max_frame_bytes = size_t{256} << 20;
  // Asked again and again while a process connects to addresses: true ends that with Cancelled.
  std::function<bool()> stop_requested = nullptr;
  // Gets what may interest an operator of the cluster, such as retries of a connection.
  std::function<void(std::string_view)> log = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_MESH_OPTIONS_H_
