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

// A connection that has not shaken hands after this time is given up; there may be another.
inline constexpr int64_t kHandshakeMs = 5'000;
// How long a link that this end has given up stays open, for the peer to read why.
inline constexpr int64_t kFarewellMs = 1'000;

// Tells the peer why this process gives up, if it can still be told.
void SendAbort(Link& link, const absl::Status& cause);

// A connection that is not part of the mesh yet: it is being made, or shakes hands.
//
// Thread safety: that of its loop.
class Candidate {
 public:
  enum class Origin {
    kGiven,     // a socket that the caller has connected; there is no other
    kDialed,    // this process connects to the peer's address
    kAccepted,  // anybody
    kLate,      // accepted when all are there: is done when it has said who it is
  };

  // `options` and `addresses` are those of the cluster, and outlive this. `expected` may only be
  // absent if the connection was accepted.
  Candidate(const MeshOptions& options, std::span<const std::string> addresses, Origin origin,
            std::optional<int> expected, std::unique_ptr<Link> link, int64_t deadline_ms);

  enum class Outcome {
    kPending,
    kDone,     // the link is ready (unless kLate); frames may have arrived behind the handshake
    kRefused,  // one end refuses the other, and both know
    kDropped,  // it ended, took too long, or is something else altogether
  };
  // Goes on as far as possible, until the outcome is not kPending. status() explains the last two.
  Outcome Advance(int64_t now_ms);

  Origin origin() const { return origin_; }
  // Which process should be there, if that is known.
  std::optional<int> expected() const { return expected_; }
  // Which process says that it is there, after its Hello.
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
