#include "headway/comm/mesh_connect.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "headway/check.h"
#include "headway/comm/socket.h"

namespace headway::internal {
namespace {

constexpr int64_t kFirstBackoffMs = 5;
constexpr int64_t kMaxBackoffMs = 500;
// A connection that has not shaken hands after this time is given up; there may be another.
constexpr int64_t kHandshakeMs = 5'000;
// Accepted connections that have not shaken hands yet, beyond one for each process.
constexpr size_t kMaxStrangers = 64;
constexpr absl::Duration kFarewell = absl::Milliseconds(500);

}  // namespace

struct MeshConnector::Listener {
  Listener(EventLoop& loop, Descriptor listening)
      : socket(std::move(listening)), watcher(loop, socket.get()) {
    watcher.Watch(true, false);
  }
  Descriptor socket;  // outlives watcher
  Watcher watcher;
};

MeshConnector::MeshConnector(const MeshOptions& options, std::span<const std::string> addresses,
                             EventLoop& loop, SlabPool* slabs, BlockList* written)
    : options_(options),
      addresses_(addresses),
      loop_(loop),
      slabs_(slabs),
      written_(written),
      links_(static_cast<size_t>(std::max(options.process_count, 1))) {
  loop_.Poll();
  deadline_ms_ = loop_.now_ms() + ToMilliseconds(options.connect_timeout);
}

MeshConnector::~MeshConnector() = default;

absl::StatusOr<MeshConnector::Links> MeshConnector::OverAddresses() {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  if (absl::Status status = CheckAddresses(); !status.ok()) return status;
  targets_.resize(static_cast<size_t>(options_.process_id));
  if (options_.process_id + 1 < options_.process_count) {
    if (absl::Status status = StartListening(); !status.ok()) return status;
  }
  return Run();
}

absl::StatusOr<MeshConnector::Links> MeshConnector::OverSockets(std::vector<Descriptor> sockets) {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  if (sockets.size() != links_.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d sockets were given for %d processes", sockets.size(), links_.size()));
  }
  for (int process = 0; process < options_.process_count; ++process) {
    Descriptor& socket = sockets[static_cast<size_t>(process)];
    if (process == options_.process_id) continue;
    if (!socket.valid()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s has no socket", Name(process)));
    }
    SetUpConnection(socket.get());
    AddCandidate(Candidate::Origin::kGiven, process, std::move(socket),
                 std::numeric_limits<int64_t>::max());
  }
  return Run();
}

absl::Status MeshConnector::CheckOptions() const {
  if (options_.process_count < 1 || options_.process_id < 0 ||
      options_.process_id >= options_.process_count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("process %d of %d: ids count from 0, and are less than the number of "
                        "processes",
                        options_.process_id, options_.process_count));
  }
  if (options_.cluster.size() > kMaxClusterNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the name of the cluster has %d bytes, and the limit is %d",
                        options_.cluster.size(), kMaxClusterNameBytes));
  }
  return absl::OkStatus();
}

absl::Status MeshConnector::CheckAddresses() {
  if (addresses_.size() != links_.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("%d addresses were given for %d processes",
                                                      addresses_.size(), links_.size()));
  }
  for (size_t process = 0; process < addresses_.size(); ++process) {
    absl::StatusOr<HostPort> host = ParseAddress(addresses_[process]);
    if (!host.ok()) return host.status();
    hosts_.push_back(*std::move(host));
    for (size_t other = 0; other < process; ++other) {
      if (addresses_[other] == addresses_[process]) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "processes %d and %d have the same address, %s", other, process, addresses_[process]));
      }
    }
  }
  if (RemoteAllowed()) return absl::OkStatus();
  for (size_t process = 0; process < hosts_.size(); ++process) {
    // A host that is not known yet is looked at again when it is dialed.
    const absl::StatusOr<std::vector<SocketAddress>> resolved = Resolve(hosts_[process]);
    if (!resolved.ok()) continue;
    for (const SocketAddress& address : *resolved) {
      absl::Status status = CheckRemote(address, static_cast<int>(process));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status MeshConnector::CheckRemote(const SocketAddress& address, int process) const {
  if (RemoteAllowed() || address.IsLoopback()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is not at a loopback address, and the cluster has no secret: give all "
                      "processes the same secret, or say that the cluster is insecure",
                      Name(process)));
}

absl::Status MeshConnector::StartListening() {
  const auto own = static_cast<size_t>(options_.process_id);
  const absl::StatusOr<std::vector<SocketAddress>> resolved = Resolve(hosts_[own]);
  if (!resolved.ok()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s cannot listen: %s", Name(options_.process_id), resolved.status().message()));
  }
  absl::Status failure;
  for (const SocketAddress& address : *resolved) {
    if (absl::Status status = CheckRemote(address, options_.process_id); !status.ok()) {
      return status;
    }
    absl::StatusOr<Descriptor> socket = Listen(address);
    if (socket.ok()) {
      listeners_.push_back(std::make_unique<Listener>(loop_, *std::move(socket)));
    } else {
      failure = absl::Status(
          socket.status().code(),
          absl::StrFormat("%s: %s", Name(options_.process_id), socket.status().message()));
    }
  }
  // A name may have an address of a family that this machine has not.
  return listeners_.empty() ? failure : absl::OkStatus();
}

absl::StatusOr<MeshConnector::Links> MeshConnector::Run() {
  while (true) {
    for (const auto step : {&MeshConnector::DialMissing, &MeshConnector::AcceptAll,
                            &MeshConnector::AdvanceCandidates, &MeshConnector::CheckLinks}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return Fail(status);
    }
    if (Complete()) break;
    if (loop_.now_ms() >= deadline_ms_) return Fail(TimedOut());
    WaitForEvents();
  }
  candidates_.clear();
  listeners_.clear();
  for (const auto& link : links_) {
    if (link == nullptr) continue;
    link->ResumeReading();
    link->set_last_heard_ms(loop_.now_ms());
  }
  return std::move(links_);
}

bool MeshConnector::Complete() const {
  for (int process = 0; process < options_.process_count; ++process) {
    if (process != options_.process_id && links_[static_cast<size_t>(process)] == nullptr) {
      return false;
    }
  }
  return true;
}

void MeshConnector::AddCandidate(Candidate::Origin origin, std::optional<int> expected,
                                 Descriptor socket, int64_t deadline_ms) {
  candidates_.push_back(std::make_unique<Candidate>(
      options_, addresses_, origin, expected,
      std::make_unique<Link>(loop_, std::move(socket), slabs_, written_), deadline_ms));
}

absl::Status MeshConnector::DialMissing() {
  for (size_t process = 0; process < targets_.size(); ++process) {
    Target& target = targets_[process];
    if (links_[process] != nullptr || target.has_candidate ||
        loop_.now_ms() < target.next_attempt_ms) {
      continue;
    }
    if (absl::Status status = Dial(static_cast<int>(process), target); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MeshConnector::Dial(int process, Target& target) {
  if (target.next_address == target.resolved.size()) {
    absl::StatusOr<std::vector<SocketAddress>> resolved =
        Resolve(hosts_[static_cast<size_t>(process)]);
    target.resolved.clear();
    target.next_address = 0;
    if (!resolved.ok()) {
      DialFailed(process, resolved.status());
      return absl::OkStatus();
    }
    target.resolved = *std::move(resolved);
  }
  const SocketAddress& address = target.resolved[target.next_address++];
  if (absl::Status status = CheckRemote(address, process); !status.ok()) return status;
  absl::StatusOr<Descriptor> socket = StartConnect(address);
  if (!socket.ok()) {
    DialFailed(process, socket.status());
    return absl::OkStatus();
  }
  target.has_candidate = true;
  AddCandidate(Candidate::Origin::kDialed, process, *std::move(socket),
               loop_.now_ms() + kHandshakeMs);
  return absl::OkStatus();
}

void MeshConnector::DialFailed(int process, const absl::Status& status) {
  Target& target = targets_[static_cast<size_t>(process)];
  target.has_candidate = false;
  if (target.next_address == target.resolved.size()) {  // no address is left to try at once
    target.backoff_ms = std::clamp(2 * target.backoff_ms, kFirstBackoffMs, kMaxBackoffMs);
    target.next_attempt_ms = loop_.now_ms() + target.backoff_ms;
  }
  if (target.last_error == status.message()) return;
  target.last_error = std::string(status.message());
  Log(absl::StrFormat("%s cannot be reached yet: %s", Name(process), target.last_error));
}

absl::Status MeshConnector::AcceptAll() {
  for (const auto& listener : listeners_) {
    if (!listener->watcher.readable()) continue;
    listener->watcher.Clear();
    while (true) {
      SocketAddress peer;
      absl::StatusOr<Descriptor> socket = Accept(listener->socket, &peer);
      if (!socket.ok()) return socket.status();
      if (!socket->valid()) break;
      if (!RemoteAllowed() && !peer.IsLoopback()) {
        Log(absl::StrFormat("a connection from %s was dropped: there is no secret",
                            peer.ToString()));
        continue;
      }
      AddCandidate(Candidate::Origin::kAccepted, std::nullopt, *std::move(socket),
                   loop_.now_ms() + kHandshakeMs);
    }
  }
  // The oldest strangers make way.
  while (candidates_.size() > links_.size() + kMaxStrangers) {
    const auto oldest = std::ranges::find(candidates_, Candidate::Origin::kAccepted,
                                          [](const auto& each) { return each->origin(); });
    if (oldest == candidates_.end()) break;
    candidates_.erase(oldest);
  }
  return absl::OkStatus();
}

absl::Status MeshConnector::AdvanceCandidates() {
  for (size_t i = 0; i < candidates_.size();) {
    Candidate& candidate = *candidates_[i];
    switch (candidate.Advance(loop_.now_ms())) {
      case Candidate::Outcome::kPending:
        ++i;
        continue;
      case Candidate::Outcome::kRefused:
        return candidate.status();
      case Candidate::Outcome::kDone:
        if (absl::Status status = TakeDone(candidate); !status.ok()) return status;
        break;
      case Candidate::Outcome::kDropped:
        if (candidate.origin() == Candidate::Origin::kGiven) {
          return absl::Status(
              candidate.status().code(),
              absl::StrFormat("%s: %s", Name(*candidate.expected()), candidate.status().message()));
        }
        TakeDropped(candidate);
        break;
    }
    candidates_.erase(candidates_.begin() + static_cast<ptrdiff_t>(i));
  }
  return absl::OkStatus();
}

absl::Status MeshConnector::TakeDone(Candidate& candidate) {
  const int process = *candidate.peer();
  std::unique_ptr<Link>& link = links_[static_cast<size_t>(process)];
  if (candidate.origin() == Candidate::Origin::kAccepted) {
    if (process < options_.process_id) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "%s has connected to %s, and not the other way round: the processes differ in the list "
          "of addresses",
          Name(process), Name(options_.process_id)));
    }
    if (link != nullptr) {
      // Unless the other connection has just ended, there are two such processes.
      if (absl::Status status = CheckLink(process); !status.ok()) return status;
      if (link != nullptr) {
        return absl::FailedPreconditionError(
            absl::StrFormat("two processes have the id of %s", Name(process)));
      }
    }
  } else if (candidate.origin() == Candidate::Origin::kDialed) {
    targets_[static_cast<size_t>(process)].has_candidate = false;
  }
  link = candidate.TakeLink();
  return absl::OkStatus();
}

void MeshConnector::TakeDropped(const Candidate& candidate) {
  if (candidate.origin() == Candidate::Origin::kDialed) {
    DialFailed(*candidate.expected(), candidate.status());
  } else {
    Log(absl::StrFormat("a connection was dropped: %s", candidate.status().message()));
  }
}

absl::Status MeshConnector::CheckLinks() {
  for (int process = 0; process < options_.process_count; ++process) {
    const std::unique_ptr<Link>& link = links_[static_cast<size_t>(process)];
    if (link == nullptr) continue;
    link->KeepAlive(options_.peer_timeout);
    if (link->writable()) link->Flush();
    const bool readable = link->readable();
    link->ClearReady();
    if (!readable) continue;
    if (absl::Status status = CheckLink(process); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Looks at what a process has sent before everybody was there: frames stay where they are, but a
// failure ends the attempt, and a connection that has ended may come again.
absl::Status MeshConnector::CheckLink(int process) {
  std::unique_ptr<Link>& link = links_[static_cast<size_t>(process)];
  const FrameReader::Result result = link->Receive(/*more=*/true);
  if (absl::Status status = link->reader().FindAbort(options_.max_frame_bytes); !status.ok()) {
    return absl::Status(status.code(), absl::StrFormat("%s: %s", Name(process), status.message()));
  }
  if (result == FrameReader::Result::kDrained && !link->reader().full()) return absl::OkStatus();
  link->PauseReading();
  if (result != FrameReader::Result::kEnd || link->reader().unread_bytes() > 0) {
    return absl::OkStatus();  // to be read when everybody is there
  }
  link.reset();
  const absl::Status lost = absl::UnavailableError("connection lost");
  if (process < options_.process_id && !targets_.empty()) {
    DialFailed(process, lost);
  } else if (listeners_.empty()) {
    return absl::UnavailableError(absl::StrFormat("%s: connection lost", Name(process)));
  } else {
    Log(absl::StrFormat("%s: connection lost; waiting for it", Name(process)));
  }
  return absl::OkStatus();
}

void MeshConnector::WaitForEvents() {
  int64_t until = deadline_ms_;
  for (size_t process = 0; process < targets_.size(); ++process) {
    const Target& target = targets_[process];
    if (links_[process] == nullptr && !target.has_candidate) {
      until = std::min(until, target.next_attempt_ms);
    }
  }
  for (const auto& candidate : candidates_) until = std::min(until, candidate->deadline_ms());
  // Heartbeats need to be thought of more often than anything else.
  const int64_t heartbeat = ToMilliseconds(options_.peer_timeout / 8);
  const int64_t wait = std::min(until - loop_.now_ms(), std::max<int64_t>(heartbeat, 1));
  loop_.Wait(std::chrono::milliseconds(std::max<int64_t>(wait, 0)));
}

absl::Status MeshConnector::TimedOut() const {
  std::vector<std::string> missing;
  for (int process = 0; process < options_.process_count; ++process) {
    const auto index = static_cast<size_t>(process);
    if (process == options_.process_id || links_[index] != nullptr) continue;
    missing.push_back(index < targets_.size() && !targets_[index].last_error.empty()
                          ? absl::StrFormat("%s: %s", Name(process), targets_[index].last_error)
                          : Name(process));
  }
  return absl::UnavailableError(absl::StrFormat(
      "after %s, %s still misses %s", absl::FormatDuration(options_.connect_timeout),
      Name(options_.process_id), absl::StrJoin(missing, ", ")));
}

// Tells everybody who can be a process of the cluster why there will be none.
absl::Status MeshConnector::Fail(absl::Status status) {
  std::vector<Link*> links;
  for (const auto& link : links_) {
    if (link != nullptr) links.push_back(link.get());
  }
  for (const auto& candidate : candidates_) {
    if (candidate->has_link() && candidate->is_peer()) links.push_back(&candidate->link());
  }
  for (Link* link : links) SendAbort(*link, status);
  EndLinks(loop_, links, kFarewell);
  return status;
}

void MeshConnector::Log(std::string_view message) const {
  if (options_.log) options_.log(message);
}

}  // namespace headway::internal
