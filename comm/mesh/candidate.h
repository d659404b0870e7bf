#ifndef HEADWAY_COMM_MESH_CANDIDATE_H_
#define HEADWAY_COMM_MESH_CANDIDATE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "comm/mesh/link.h"
#include "comm/wire/handshake.h"

namespace headway::internal {

// The time limit of a handshake; another attempt may follow.
inline constexpr int64_t kHandshakeMs = 5'000;
// The time that a refused link stays open, so that the peer can read the reason.
inline constexpr int64_t kFarewellMs = 1'000;

// Sends the peer the reason why this process gives up, if the link still works. `before` are frames
// that go first.
void SendAbort(Link& link, const absl::Status& cause, std::span<const std::byte> before = {});

// A connection that is not part of the mesh yet: it connects, or shakes hands.
//
// Thread safety: that of its loop.
class Candidate {
 public:
  enum class Origin {
    kGiven,     // a socket that the caller has connected; there is no other
    kDialed,    // this process connects to the peer's address
    kAccepted,  // anybody
    kLate,      // accepted by a complete cluster; it gets no Proof before Refuse
  };

  // `options` and `addresses` are those of the cluster, and outlive the candidate. `expected` may
  // be absent only for an accepted connection.
  Candidate(const MeshOptions& options, std::span<const std::string> addresses, Origin origin,
            std::optional<int> expected, std::unique_ptr<Link> link, int64_t deadline_ms);

  enum class Outcome {
    kPending,
    kDone,     // the peer has proved itself; frames may have arrived behind the handshake
    kRefused,  // one end refuses the other, and both belong to the cluster
    kDropped,  // it ended, timed out, or has not proved that it belongs to the cluster
  };
  // Proceeds as far as possible, until the outcome is not kPending. status() explains the last two.
  Outcome Advance(int64_t now_ms);

  Origin origin() const { return origin_; }
  // The process that should be at the other end, if that is known.
  std::optional<int> expected() const { return expected_; }
  // The process that the peer's Hello claims to be.
  std::optional<int> peer() const { return handshake_.peer(); }
  // Returns true if the peer's Hello differs, and the peer has not proved itself yet.
  bool differs() const { return handshake_.differs(); }
  const absl::Status& status() const { return status_; }
  int64_t deadline_ms() const { return deadline_ms_; }
  Link& link() { return *link_; }
  bool has_link() const { return link_ != nullptr; }
  std::unique_ptr<Link> TakeLink() { return std::move(link_); }
  // Tells a late peer why it is refused. If it has proved itself, a Proof goes first, so that it
  // believes the reason. Returns the link.
  std::unique_ptr<Link> Refuse(const absl::Status& why);

 private:
  Outcome Step(int64_t now_ms);
  Outcome Drop(absl::Status status);
  Outcome ReadFrames();
  absl::Status HandleFrames();
  absl::Status ShakeHands(std::vector<std::byte>* reply);

  const Origin origin_;
  const std::optional<int> expected_;
  std::unique_ptr<Link> link_;
  Handshake handshake_;
  const int64_t deadline_ms_;
  std::vector<std::byte> withheld_;  // the Proof for a late peer
  bool connecting_;
  Outcome outcome_ = Outcome::kPending;
  absl::Status status_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_CANDIDATE_H_
