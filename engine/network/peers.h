#ifndef HEADWAY_ENGINE_NETWORK_PEERS_H_
#define HEADWAY_ENGINE_NETWORK_PEERS_H_

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "comm/wire/transport.h"
#include "engine/runtime/attempt.h"

namespace headway::internal {

// The other processes of the cluster, as the parts of a Network see them: the transport, and
// the attempt that fails when a peer sends a malformed frame.
//
// Thread safety: as Transport. The holder of the pump's lock sends.
class Peers {
 public:
  // `attempt` outlives the peers.
  Peers(Attempt& attempt, std::unique_ptr<Transport> transport)
      : attempt_(attempt), transport_(std::move(transport)) {}

  Attempt& attempt() const { return attempt_; }
  const Topology& topology() const { return attempt_.run().topology(); }
  Transport& transport() const { return *transport_; }

  void SendToAll(FrameClass frame_class, std::span<const std::byte> frame);
  // Returns true if more than `bytes` of that class wait for some process.
  bool AnyQueuesMoreThan(size_t bytes, FrameClass frame_class) const;

  // Fails the attempt because of a malformed message of `process`. `message` describes it.
  void Refuse(int process, std::string_view message);

 private:
  Attempt& attempt_;
  const std::unique_ptr<Transport> transport_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_NETWORK_PEERS_H_
