#ifndef HEADWAY_ENGINE_NETWORK_BATCH_RELAY_H_
#define HEADWAY_ENGINE_NETWORK_BATCH_RELAY_H_

#include "comm/local/endpoint.h"
#include "comm/wire/transport.h"
#include "engine/network/dataflow_table.h"
#include "engine/network/peers.h"
#include "engine/network/remote_credit.h"
#include "engine/network/remote_graphs.h"

namespace headway::internal {

// Relays batches between the workers of this process and those of other processes. No record is
// copied: a batch is written to the socket from its block, and read in the slab where it arrived.
//
// Thread safety: none; the holder of the pump's lock uses it.
class BatchRelay {
 public:
  // `endpoint` is the network's. All outlive the relay.
  BatchRelay(Peers& peers, Endpoint& endpoint, RemoteCredit& credit, const DataflowTable& table,
             const RemoteGraphs& graphs)
      : peers_(peers), endpoint_(endpoint), credit_(credit), table_(table), graphs_(graphs) {}

  // Sends the batch of a kOutgoingBatch, whose block goes to the transport.
  void Send(const Message& message);
  // Delivers the batch in a frame to its worker, or refuses it. A process that exceeds its credit
  // fails the run.
  void Deliver(int process, const IncomingFrame& frame);

 private:
  bool Accepts(int process, const IncomingFrame& frame);
  bool HasCredit(int process, int64_t bytes);

  Peers& peers_;
  Endpoint& endpoint_;
  RemoteCredit& credit_;
  const DataflowTable& table_;
  const RemoteGraphs& graphs_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_BATCH_RELAY_H_
