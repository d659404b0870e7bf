#include "comm/mesh/doorkeeper.h"

#include <optional>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

// Answered at a time; the oldest make way.
constexpr size_t kMaxCandidates = 16;

}  // namespace

Doorkeeper::Doorkeeper(const MeshOptions& options, std::span<const std::string> addresses,
                       EventLoop& loop, SlabPool* slabs, BlockList* written,
                       std::unique_ptr<Listener> listener)
    : options_(options),
      book_(options, addresses),
      loop_(loop),
      slabs_(slabs),
      written_(written),
      listener_(std::move(listener)),
      refusals_(options.process_count) {}

void Doorkeeper::Serve(absl::FunctionRef<bool(int)> is_there) {
  if (listener_ != nullptr) AcceptNew();
  std::erase_if(candidates_, [&](const std::unique_ptr<Candidate>& candidate) {
    const Candidate::Outcome outcome = candidate->Advance(loop_.now_ms());
    const std::optional<int> peer = candidate->peer();
    if (outcome == Candidate::Outcome::kPending) {
      // A process in the place of a lost one is let go before it proves anything.
      return peer.has_value() && !candidate->differs() && !is_there(*peer);
    }
    const bool lacks_secret = absl::IsPermissionDenied(candidate->status());
    if (outcome == Candidate::Outcome::kRefused || lacks_secret) {
      Refuse(*candidate, candidate->status());
    } else if (outcome == Candidate::Outcome::kDone && is_there(*peer)) {
      Refuse(
          *candidate,
          absl::FailedPreconditionError(absl::StrFormat(
              "two processes have the id of %s, and the cluster is still connected to the first; "
              "if that one is gone, start again when its silence was noticed, in at most %s",
              book_.Name(*peer), absl::FormatDuration(options_.peer_timeout))));
    }
    return true;
  });
  std::erase_if(farewells_, [&](const Farewell& farewell) {
    const bool ended = farewell.link->readable() && farewell.link->Discard();
    farewell.link->ClearReady();
    return ended || loop_.now_ms() >= farewell.until_ms;
  });
}

void Doorkeeper::AcceptNew() {
  absl::StatusOr<std::vector<Listener::Accepted>> accepted = listener_->Accept();
  if (!accepted.ok()) {
    listener_.reset();
    return;
  }
  for (Listener::Accepted& each : *accepted) {
    if (!book_.Allows(each.peer)) continue;
    if (candidates_.size() == kMaxCandidates) candidates_.erase(candidates_.begin());
    candidates_.push_back(std::make_unique<Candidate>(
        options_, book_.addresses(), Candidate::Origin::kLate, std::nullopt,
        std::make_unique<Link>(loop_, std::move(each.socket), slabs_, written_),
        loop_.now_ms() + kHandshakeMs));
  }
}

void Doorkeeper::Refuse(Candidate& candidate, const absl::Status& why) {
  if (refusals_.Note(candidate.peer(), why, loop_.now_ms()) && options_.log) {
    options_.log(absl::StrFormat("a process that connected to the complete cluster was refused: %s",
                                 why.message()));
  }
  std::unique_ptr<Link> link = candidate.Refuse(why);
  link->EndSending();
  if (farewells_.size() == kMaxCandidates) farewells_.erase(farewells_.begin());
  farewells_.push_back({std::move(link), loop_.now_ms() + kFarewellMs});
}

}  // namespace headway::internal
