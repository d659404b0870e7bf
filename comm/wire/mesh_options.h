#ifndef HEADWAY_COMM_WIRE_MESH_OPTIONS_H_
#define HEADWAY_COMM_WIRE_MESH_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace headway::internal {

// The options of the connections of a process. All processes of a cluster have the same, except
// process_id.
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
  // Polled while a process connects to addresses; true ends that with Cancelled.
  std::function<bool()> stop_requested = nullptr;
  // Receives events for the operator of the cluster, such as retries of a connection.
  std::function<void(std::string_view)> log = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_MESH_OPTIONS_H_
