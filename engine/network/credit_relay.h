#ifndef HEADWAY_ENGINE_NETWORK_CREDIT_RELAY_H_
#define HEADWAY_ENGINE_NETWORK_CREDIT_RELAY_H_

#include <cstdint>
#include <vector>

#include "comm/local/endpoint.h"
#include "comm/wire/wire.h"
#include "engine/network/peers.h"
#include "engine/network/remote_credit.h"

namespace headway::internal {

// Returns credit: sums the bytes that workers of this process consumed of other processes' batches,
// and delivers the credit that other processes return.
//
// Thread safety: none; the holder of the pump's lock uses it.
class CreditRelay {
 public:
  // `endpoint` is the network's. All outlive the relay.
  CreditRelay(Peers& peers, Endpoint& endpoint, RemoteCredit& credit);

  // Adds a kReturnedBytes to the sum.
  void Add(const Message& message);
  // Sends the sum if it is large.
  void SendIfDue() {
    if (bytes_ >= due_bytes_) Send();
  }
  // Sends the sum.
  void Send();
  // Delivers the credit in a frame to its workers, or refuses it.
  void Deliver(int process, const wire::Frame& frame);

 private:
  Peers& peers_;
  Endpoint& endpoint_;
  RemoteCredit& credit_;
  FrameEncoder encoder_;
  std::vector<std::vector<FrameEncoder::ReturnedBytes>> returned_;  // by process
  int64_t bytes_ = 0;                                               // in returned_
  // All processes together withhold at most half of a channel's exclusive credit, so its sender
  // never waits for credit that nobody returns.
  const int64_t due_bytes_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_CREDIT_RELAY_H_
