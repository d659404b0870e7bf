#ifndef HEADWAY_COMM_MESH_CANDIDATE_H_
#define HEADWAY_COMM_MESH_CANDIDATE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "comm/mesh/link.h"
#include "comm/wire/handshake.h"

namespace headway::internal {

// The time limit of a handshake; another attempt may follow.
inline constexpr int64_t kHandshakeMs = 5'000;
// The time that a refused link stays open, so that the peer can read the reason.
inline constexpr int64_t kFarewellMs = 1'000;

// Sends the peer the reason why this process gives up, if the link still works.
void SendAbort(Link& link, const absl::Status& cause);

// A connection that is not part of the mesh yet: it connects, or shakes hands.
//
// Thread safety: that of its loop.
class Candidate {
 public:
  enum class Origin {
    kGiven,     // a socket that the caller has connected; there is no other
    kDialed,    // this process connects to the peer's address
    kAccepted,  // anybody
    kLate,      // accepted by a complete cluster; done after its Hello
  };

  // `options` and `addresses` are those of the cluster, and outlive the candidate. `expected` may
  // be absent only for an accepted connection.
  Candidate(const MeshOptions& options, std::span<const std::string> addresses, Origin origin,
            std::optional<int> expected, std::unique_ptr<Link> link, int64_t deadline_ms);

  enum class Outcome {
    kPending,
    kDone,     // the link is ready (unless kLate); frames may have arrived behind the handshake
    kRefused,  // one end refuses the other, and both know
    kDropped,  // it ended, timed out, or is not a Headway process
  };
  // Proceeds as far as possible, until the outcome is not kPending. status() explains the last two.
  Outcome Advance(int64_t now_ms);

  Origin origin() const { return origin_; }
  // The process that should be at the other end, if that is known.
  std::optional<int> expected() const { return expected_; }
  // The process that the peer's Hello claims to be.
  std::optional<int> peer() const { return handshake_.peer(); }
  const absl::Status& status() const { return status_; }
  int64_t deadline_ms() const { return deadline_ms_; }
  Link& link() { return *link_; }
  std::unique_ptr<Link> TakeLink() { return std::move(link_); }

 private:
  Outcome Step(int64_t now_ms);
  Outcome Drop(absl::Status status);
  bool IsDone() const;
  Outcome ReadFrames();
  absl::Status HandleFrames();

  const Origin origin_;
  const std::optional<int> expected_;
  std::unique_ptr<Link> link_;
  Handshake handshake_;
  const int64_t deadline_ms_;
  bool connecting_;
  Outcome outcome_ = Outcome::kPending;
  absl::Status status_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_CANDIDATE_H_
