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

// The largest frame before the end of the handshake.
inline constexpr size_t kMaxHandshakeFrameBytes = 4096;
// The most bytes of the name of a cluster in a Hello.
inline constexpr size_t kMaxClusterNameBytes = 1024;

using Nonce = std::array<std::byte, kNonceBytes>;
Nonce RandomNonce();

// The handshake of a new connection. Both ends learn if they belong to the same cluster, and which
// of its processes the peer is. They do the same at the same time: each sends a Hello, and answers
// the other's with a Proof. The Proof is the HMAC-SHA256, keyed with the secret, of both Hellos and
// of the sender's end. The nonces in the Hellos make a proof valid for one connection only; the end
// makes it useless for its receiver.
//
// In a cluster with a secret nothing is believed before the proof. A Hello that differs is answered
// with a Proof all the same. If both ends prove themselves, each refuses the other because of the
// difference; else the peer is a stranger.
//
// This is the state of one end. It does no input and output itself.
//
// Thread safety: none.
class Handshake {
 public:
  enum class End : uint8_t { kConnector, kAcceptor };

  // `expected` is the process that should be at the other end, if that is known. `addresses` are
  // those of all processes, for messages; they may be absent, and outlive the handshake.
  Handshake(const MeshOptions& options, std::span<const std::string> addresses, End end,
            std::optional<int> expected, const Nonce& nonce);

  // The frame to send first.
  std::span<const std::byte> hello() const { return hello_; }

  // Takes a verified frame of the peer, and adds frames to send to `reply`. Errors end the
  // handshake; refused() classifies them.
  //
  // FailedPrecondition: the peer's Hello differs. PermissionDenied: the peer has not proved that it
  // has the secret. InvalidArgument: the frame is not allowed here. Or, without a secret, the
  // status in the peer's Abort. Messages hold text of the peer only if refused().
  absl::Status Receive(const wire::Frame& frame, std::span<const std::byte> bytes,
                       std::vector<std::byte>* reply);

  // Returns true once the peer has proved itself.
  bool done() const { return done_; }
  // The process that the peer's Hello claims to be, if it names one.
  std::optional<int> peer() const { return peer_; }
  // Returns true if Receive failed because one end refuses the other, and both belong to the
  // cluster as far as its secret tells. False if the peer is a stranger: its failure proves
  // nothing.
  bool refused() const { return refused_; }
  // Returns true if the peer's Hello differs, and its Proof has not arrived yet.
  bool differs() const { return !difference_.ok(); }

 private:
  absl::Status ReceiveHello(const HelloFields& hello, std::span<const std::byte> bytes,
                            std::vector<std::byte>* reply);
  absl::Status ReceiveProof(std::span<const std::byte> mac);
  absl::Status ReceiveAbort(const absl::Status& cause);
  absl::Status Refuse(absl::Status status);
  std::string PeerName() const;
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
  absl::Status difference_;  // of the peer's Hello; believed once the peer has proved itself
  bool speaks_other_version_ = false;  // the peer; `difference_` says it without its text
  bool done_ = false;
  bool refused_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_HANDSHAKE_H_
