#ifndef HEADWAY_COMM_WIRE_HANDSHAKE_H_
#define HEADWAY_COMM_WIRE_HANDSHAKE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "comm/wire/mesh_options.h"
#include "comm/wire/wire.h"

namespace headway::internal {

// Frames before the end of the handshake are no larger.
inline constexpr size_t kMaxHandshakeFrameBytes = 4096;
// Bytes of the name of a cluster, which a Hello carries.
inline constexpr size_t kMaxClusterNameBytes = 1024;

using Nonce = std::array<std::byte, kNonceBytes>;
Nonce RandomNonce();

// How the two ends of a new connection find out that they belong to the same cluster, and which of
// its processes the other one is. Both ends do the same at the same time: each sends a Hello; each
// answers the other's with a Proof, which is the HMAC-SHA256, by the secret, of both Hellos and of
// which end it is. The nonces in the Hellos make each proof valid for one connection, the end makes
// it useless for its receiver.
//
// This is the state of one end. It sends and receives nothing itself.
//
// Thread safety: none.
class Handshake {
 public:
  enum class End : uint8_t { kConnector, kAcceptor };

  // `expected` is the process that should be at the other end, if that is known. `addresses` are
  // those of all processes, for messages; they may be absent, and outlive this.
  Handshake(const MeshOptions& options, std::span<const std::string> addresses, End end,
            std::optional<int> expected, const Nonce& nonce);

  // The frame to send first.
  std::span<const std::byte> hello() const { return hello_; }

  // Takes a verified frame of the peer, and adds frames to send to `reply`. Errors end the
  // handshake; refused() tells them apart.
  //
  // FailedPrecondition: the peer differs in what its Hello says. PermissionDenied: in the secret.
  // InvalidArgument: this frame does not belong here. What the peer says in an Abort.
  absl::Status Receive(const wire::Frame& frame, std::span<const std::byte> bytes,
                       std::vector<std::byte>* reply);

  // Whether the peer has proved itself.
  bool done() const { return done_; }
  // After a Hello: which process of the cluster the peer says it is, if it says one.
  std::optional<int> peer() const { return peer_; }
  // Whether Receive failed because one end refuses the other, rather than because the peer is
  // something else altogether.
  bool refused() const { return refused_; }

 private:
  absl::Status CheckHello(const HelloFields& hello);
  absl::Status CheckProof(std::span<const std::byte> mac) const;
  std::array<std::byte, kMacBytes> Mac(End prover) const;

  const MeshOptions& options_;
  const std::span<const std::string> addresses_;
  const End end_;
  const std::optional<int> expected_;
  FrameEncoder encoder_;
  std::vector<std::byte> hello_;
  std::vector<std::byte> peer_hello_;
  std::optional<int> peer_;
  bool done_ = false;
  bool refused_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_HANDSHAKE_H_
