#ifndef HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_
#define HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "comm/wire/transport.h"
#include "engine/network/peers.h"

namespace headway::internal {

// Compares the graphs that other processes announce with those of this process.
//
// Thread safety: none; the holder of the pump's lock uses it.
class RemoteGraphs {
 public:
  // `peers` outlives this.
  explicit RemoteGraphs(Peers& peers)
      : peers_(peers), seen_(static_cast<size_t>(peers.topology().process_count)) {}

  // Compares the graph in a frame, or refuses it. A difference fails the run.
  void Compare(int process, const IncomingFrame& frame);

 private:
  Peers& peers_;
  std::vector<absl::flat_hash_set<uint32_t>> seen_;  // by process: dataflows
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_REMOTE_GRAPHS_H_
