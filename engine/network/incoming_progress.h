#ifndef HEADWAY_ENGINE_NETWORK_INCOMING_PROGRESS_H_
#define HEADWAY_ENGINE_NETWORK_INCOMING_PROGRESS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "comm/local/endpoint.h"
#include "comm/wire/wire.h"
#include "engine/network/dataflow_table.h"
#include "engine/network/peers.h"
#include "engine/network/remote_graphs.h"

namespace headway::internal {

// Publishes the rounds of progress of other processes to the workers of this process. While the
// slowest worker has no room, rounds are delayed here, in order, and summed when they get large.
//
// Thread safety: none; the holder of the pump's lock uses it.
class IncomingProgress {
 public:
  // `endpoint` is the network's. All outlive this.
  IncomingProgress(Peers& peers, DataflowTable& table, Endpoint& endpoint,
                   const RemoteGraphs& graphs)
      : peers_(peers), table_(table), endpoint_(endpoint), graphs_(graphs) {}

  // Publishes the rounds in a frame, or refuses them.
  void Deliver(int process, const wire::Frame& frame);
  // Publishes delayed rounds while there is room.
  void DeliverDelayed();
  // Returns true if rounds are delayed. Workers do not announce room: try again soon.
  bool delaying() const { return !with_delayed_.empty(); }

 private:
  void DeliverRound(int process, uint32_t dataflow, std::span<const std::byte> round);
  void Delay(uint32_t id, std::span<const std::byte> round);
  void SumDelayed(DataflowProgress& dataflow);

  Peers& peers_;
  DataflowTable& table_;
  Endpoint& endpoint_;
  const RemoteGraphs& graphs_;
  std::deque<uint32_t> with_delayed_;  // dataflows, oldest first
  size_t unbuilt_bytes_ = 0;           // delayed for dataflows that were not built here
  std::vector<std::byte> round_;       // scratch of Deliver
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_INCOMING_PROGRESS_H_
