#include <algorithm>
#include <optional>
#include <utility>

#include "comm/mesh/mesh_connect.h"

// The end of a failed attempt to connect a cluster: every process should end, and report the cause.

namespace headway::internal {
namespace {

// The wait for processes that have not been told, such as processes that start a little later.
constexpr int64_t kLingerMs = 1'000;
// The time for all of them to read it.
constexpr absl::Duration kFarewell = absl::Milliseconds(500);

}  // namespace

// Tells every process of the cluster the cause of the failure. Keeps connecting for a while, to
// reach the missing ones.
absl::Status MeshConnector::Fail(absl::Status status) {
  std::vector<std::unique_ptr<Link>> told_links;
  std::vector<bool> told(links_.size(), false);
  told[static_cast<size_t>(options_.process_id)] = true;
  const auto tell = [&](std::optional<int> process, std::unique_ptr<Link> link) {
    SendAbort(*link, status);
    told_links.push_back(std::move(link));
    if (process.has_value()) told[static_cast<size_t>(*process)] = true;
  };
  for (size_t process = 0; process < links_.size(); ++process) {
    if (links_[process] != nullptr) tell(static_cast<int>(process), std::move(links_[process]));
  }
  const int64_t until_ms = std::min(deadline_ms_, loop_.now_ms() + kLingerMs);
  while (true) {
    std::erase_if(candidates_, [&](const std::unique_ptr<Candidate>& candidate) {
      if (!candidate->has_link()) return true;  // it is among the links above
      const Candidate::Outcome outcome = candidate->Advance(loop_.now_ms());
      if (outcome == Candidate::Outcome::kPending) return false;
      if (outcome == Candidate::Outcome::kDropped) {
        TakeDropped(*candidate);
      } else {
        tell(candidate->peer(), candidate->TakeLink());
      }
      return true;
    });
    const bool all = std::ranges::find(told, false) == told.end();
    const bool none_to_come = candidates_.empty() && listener_ == nullptr && dialers_.empty();
    if (all || none_to_come || loop_.now_ms() >= until_ms) break;
    // Further failures do not matter any more.
    static_cast<void>(DialMissing());
    static_cast<void>(AcceptNew());
    WaitForEvents(until_ms);
  }
  for (const auto& candidate : candidates_) {
    // Strangers are not told, but a process that was given or dialed may be slow.
    if (candidate->expected().has_value()) tell(candidate->expected(), candidate->TakeLink());
  }
  candidates_.clear();
  std::vector<Link*> links;
  for (const auto& link : told_links) links.push_back(link.get());
  EndLinks(loop_, links, kFarewell);
  return status;
}

}  // namespace headway::internal
