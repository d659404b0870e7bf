#ifndef HEADWAY_ENGINE_NETWORK_REMOTE_SENDER_H_
#define HEADWAY_ENGINE_NETWORK_REMOTE_SENDER_H_

#include <cstdint>
#include <utility>

#include "comm/local/endpoint.h"
#include "engine/batch/remote_batch.h"
#include "engine/network/network.h"

namespace headway::internal {

// One worker's way to the other processes: sends batches and returns bytes through the network, and
// decides when to pump it.
//
// Belongs to the worker's thread.
class RemoteSender {
 public:
  // Both outlive the sender.
  RemoteSender(Network& network, Endpoint& endpoint) : network_(network), endpoint_(endpoint) {}

  // Sends a batch to `worker`, of another process. The block has its sender and its charged bytes.
  // May pump the network, so that a long activation does not keep its batches to its end.
  void SendBatch(uint32_t dataflow, uint32_t channel, int worker, const PackedBatch& batch);

  // Returns the charged bytes of an incoming batch, which was consumed, to its sender.
  void ReturnBytes(uint32_t dataflow, uint32_t channel, const Block& block);

  // The worker has published progress or built a dataflow: the pump after this step is urgent.
  void NoteProgress() { has_output_ = true; }

  // Pumps the network at the end of a step. Returns true if anything arrived. REQUIRES: the
  // endpoint was flushed.
  bool EndStep() {
    unpumped_bytes_ = 0;
    return network_.Pump(std::exchange(has_output_, false));
  }

 private:
  Network& network_;
  Endpoint& endpoint_;
  bool has_output_ = false;     // since the last EndStep
  int64_t unpumped_bytes_ = 0;  // sent since the last urgent pump
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_REMOTE_SENDER_H_
