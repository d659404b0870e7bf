#include "comm/mesh/mesh_connect.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "comm/system/socket.h"

namespace headway::internal {
namespace {

// Accepted connections without a handshake, beyond one for each process.
constexpr size_t kMaxStrangers = 64;
// The time for a process at this one's address to answer: long enough for a busy one, short for a
// user's mistake.
constexpr int64_t kTwinMs = 2'000;
// The period of polling the stop request.
constexpr int64_t kStopPollMs = 50;
// The pause between attempts to listen at an own name.
constexpr int64_t kListenPauseMs = 250;

int64_t Now(EventLoop& loop) {
  loop.Poll();
  return loop.now_ms();
}

}  // namespace

MeshConnector::MeshConnector(const MeshOptions& options, std::span<const std::string> addresses,
                             EventLoop& loop, SlabPool* slabs, BlockList* written)
    : options_(options),
      loop_(loop),
      slabs_(slabs),
      written_(written),
      deadline_ms_(Now(loop) + ToMilliseconds(options.connect_timeout)),
      book_(options, addresses),
      links_(static_cast<size_t>(std::max(options.process_count, 1))),
      refusals_(std::max(options.process_count, 1)) {}

absl::StatusOr<MeshConnector::Links> MeshConnector::OverAddresses() {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  const auto patience = std::chrono::milliseconds(deadline_ms_ - loop_.now_ms());
  absl::Status status = book_.Check(options_.process_count, patience);
  loop_.ReadClock();
  if (!status.ok()) return status;
  if (options_.process_count > 1) {
    status = StartListening();
    if (!status.ok() && !absl::IsCancelled(status)) status = AskForTwin(status);
  }
  // A process that cannot stay dials the others too, to tell them the reason.
  for (int process = 0; process < options_.process_id; ++process) {
    dialers_.emplace_back(book_, process);
  }
  return status.ok() ? Run() : Fail(status);
}

absl::StatusOr<MeshConnector::Links> MeshConnector::OverSockets(
    std::vector<FileDescriptor> sockets) {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  if (sockets.size() != links_.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d sockets were given for %d processes", sockets.size(), links_.size()));
  }
  for (int process = 0; process < options_.process_count; ++process) {
    FileDescriptor& socket = sockets[static_cast<size_t>(process)];
    if (process == options_.process_id) continue;
    if (!socket.is_open()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s has no socket", book_.Name(process)));
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

absl::Status MeshConnector::CheckStop() const {
  if (!options_.stop_requested || !options_.stop_requested()) return absl::OkStatus();
  return absl::CancelledError(absl::StrFormat("%s was stopped before all processes were connected",
                                              book_.Name(options_.process_id)));
}

// This process's addresses, waited for until the deadline.
AddressBook::Addresses MeshConnector::FindOwn() {
  while (true) {
    const int64_t wait_ms = std::min(deadline_ms_ - loop_.now_ms(), kStopPollMs);
    std::optional<AddressBook::Addresses> found =
        book_.Find(options_.process_id, std::chrono::milliseconds(wait_ms));
    loop_.ReadClock();
    if (found.has_value()) return *std::move(found);
    if (absl::Status status = CheckStop(); !status.ok()) return status;
    if (loop_.now_ms() >= deadline_ms_) {
      return absl::UnavailableError("the lookup of its host timed out");
    }
  }
}

// Listens at the own address. NotFound: its name is not known, or not that of this machine, which
// may change.
absl::Status MeshConnector::TryToListen() {
  const auto addresses = FindOwn();
  if (absl::IsUnavailable(addresses.status())) {
    return absl::NotFoundError(addresses.status().message());
  }
  if (!addresses.ok()) return addresses.status();
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Create(loop_, *addresses);
  if (listener.ok()) {
    listener_ = *std::move(listener);
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(listener.status()) || book_.IsNamed(options_.process_id)) {
    return listener.status();
  }
  return absl::UnavailableError(listener.status().message());
}

absl::Status MeshConnector::StartListening() {
  while (true) {
    absl::Status status = TryToListen();
    if (status.ok() || absl::IsCancelled(status)) return status;
    const std::string why =
        absl::StrFormat("%s: %s", book_.Name(options_.process_id), status.message());
    if (!absl::IsNotFound(status)) return absl::Status(status.code(), why);
    if (refusals_.Note(options_.process_id, status, loop_.now_ms())) {
      Log(absl::StrFormat("cannot listen yet: %s", why));
    }
    const int64_t again_ms = std::min(loop_.now_ms() + kListenPauseMs, deadline_ms_);
    while (loop_.now_ms() < again_ms) {
      if (absl::Status stopped = CheckStop(); !stopped.ok()) return stopped;
      WaitForEvents(again_ms);
    }
    if (loop_.now_ms() >= deadline_ms_) return absl::UnavailableError(why);
  }
}

// Returns the reason why this process cannot listen at its address. If another process of the
// cluster listens there, their Hellos tell both of them the mistake.
absl::Status MeshConnector::AskForTwin(absl::Status cannot_listen) {
  const auto addresses = FindOwn();
  if (!addresses.ok()) return cannot_listen;
  for (const SocketAddress& address : *addresses) {
    const int64_t until_ms = std::min(deadline_ms_, loop_.now_ms() + kTwinMs);
    absl::StatusOr<FileDescriptor> socket = StartConnect(address);
    if (!socket.ok()) continue;
    AddCandidate(Candidate::Origin::kDialed, options_.process_id, *std::move(socket), until_ms);
    Candidate& twin = *candidates_.back();
    while (twin.Advance(loop_.now_ms()) == Candidate::Outcome::kPending) WaitForEvents(until_ms);
    // Fail lets it know, in case that it has not noticed yet.
    if (twin.Advance(loop_.now_ms()) == Candidate::Outcome::kRefused) return twin.status();
    candidates_.pop_back();
  }
  return cannot_listen;
}

absl::StatusOr<MeshConnector::Links> MeshConnector::Run() {
  while (true) {
    for (const auto step : {&MeshConnector::DialMissing, &MeshConnector::AcceptNew,
                            &MeshConnector::AdvanceCandidates, &MeshConnector::CheckLinks}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return Fail(status);
    }
    if (Complete()) break;
    if (absl::Status status = CheckStop(); !status.ok()) return Fail(status);
    if (loop_.now_ms() >= deadline_ms_) return Fail(TimedOut());
    WaitForEvents(deadline_ms_);
  }
  candidates_.clear();
  for (const auto& link : links_) {
    if (link == nullptr) continue;
    link->ResumeReading();
    link->set_last_heard_ms(loop_.now_ms());
  }
  return std::move(links_);
}

bool MeshConnector::IsMissing(int process) const {
  return process != options_.process_id && links_[static_cast<size_t>(process)] == nullptr;
}

bool MeshConnector::Complete() const {
  for (int process = 0; process < options_.process_count; ++process) {
    if (IsMissing(process)) return false;
  }
  return true;
}

void MeshConnector::AddCandidate(Candidate::Origin origin, std::optional<int> expected,
                                 FileDescriptor socket, int64_t deadline_ms) {
  candidates_.push_back(std::make_unique<Candidate>(
      options_, book_.addresses(), origin, expected,
      std::make_unique<Link>(loop_, std::move(socket), slabs_, written_), deadline_ms));
}

absl::Status MeshConnector::DialMissing() {
  for (size_t process = 0; process < dialers_.size(); ++process) {
    if (loop_.now_ms() < dialers_[process].due_ms()) continue;
    absl::StatusOr<FileDescriptor> socket = dialers_[process].Dial(loop_.now_ms());
    if (socket.ok() && !socket->is_open()) continue;
    if (socket.ok()) {
      AddCandidate(Candidate::Origin::kDialed, static_cast<int>(process), *std::move(socket),
                   loop_.now_ms() + kHandshakeMs);
    } else if (absl::IsUnavailable(socket.status())) {
      DialFailed(static_cast<int>(process), socket.status());
    } else {
      return socket.status();
    }
  }
  return absl::OkStatus();
}

void MeshConnector::DialFailed(int process, const absl::Status& status) {
  Dialer& dialer = dialers_[static_cast<size_t>(process)];
  if (absl::IsPermissionDenied(status)) refusals_.Note(process, status, loop_.now_ms());
  if (!dialer.Failed(status, loop_.now_ms())) return;
  Log(absl::StrFormat("%s cannot be reached yet: %s", book_.Name(process), dialer.last_error()));
}

absl::Status MeshConnector::AcceptNew() {
  if (listener_ == nullptr) return absl::OkStatus();
  absl::StatusOr<std::vector<Listener::Accepted>> accepted = listener_->Accept();
  if (!accepted.ok()) {
    // Strangers may not use up the descriptors of the cluster.
    return DropOldestStranger() ? absl::OkStatus() : accepted.status();
  }
  for (Listener::Accepted& each : *accepted) {
    if (book_.Allows(each.peer)) {
      AddCandidate(Candidate::Origin::kAccepted, std::nullopt, std::move(each.socket),
                   loop_.now_ms() + kHandshakeMs);
    } else {
      const absl::Status why = absl::PermissionDeniedError("the cluster has no secret");
      if (!refusals_.Note(std::nullopt, why, loop_.now_ms())) continue;
      Log(absl::StrFormat("a connection from %s was dropped: %s", each.peer.ToString(),
                          why.message()));
    }
  }
  while (candidates_.size() > links_.size() + kMaxStrangers && DropOldestStranger()) {
  }
  return absl::OkStatus();
}

// Returns false if no accepted connection is left.
bool MeshConnector::DropOldestStranger() {
  const auto oldest = std::ranges::find(candidates_, Candidate::Origin::kAccepted,
                                        [](const auto& each) { return each->origin(); });
  if (oldest == candidates_.end()) return false;
  candidates_.erase(oldest);
  return true;
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
          if (absl::IsPermissionDenied(candidate.status())) return candidate.status();
          return absl::Status(candidate.status().code(),
                              absl::StrFormat("%s: %s", book_.Name(*candidate.expected()),
                                              std::string(candidate.status().message())));
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
          book_.Name(process), book_.Name(options_.process_id)));
    }
    if (link != nullptr) {
      // Unless the other connection has just ended, there are two such processes.
      if (absl::Status status = CheckLink(process); !status.ok()) return status;
      if (link != nullptr) {
        return absl::FailedPreconditionError(
            absl::StrFormat("two processes have the id of %s", book_.Name(process)));
      }
    }
  }
  link = candidate.TakeLink();
  // A complete cluster sends the reason why it refuses this process right behind its Proof.
  return CheckLink(process);
}

void MeshConnector::TakeDropped(const Candidate& candidate) {
  if (candidate.origin() == Candidate::Origin::kDialed) {
    DialFailed(*candidate.expected(), candidate.status());
    return;
  }
  const std::optional<int> claimed = candidate.peer();
  if (!refusals_.Note(claimed, candidate.status(), loop_.now_ms())) return;
  if (claimed.has_value()) {
    Log(absl::StrFormat("a connection that claims to be %s was refused: %s", book_.Name(*claimed),
                        candidate.status().message()));
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

// Polls a process that connected before the cluster is complete. Its frames stay in the reader, but
// a failure ends the attempt. A lost connection may come again.
absl::Status MeshConnector::CheckLink(int process) {
  Link& link = *links_[static_cast<size_t>(process)];
  const FrameReader::Result result = link.Receive(/*more=*/true);
  link.reader().SkipHeartbeats(options_.max_frame_bytes);
  if (absl::Status status = link.reader().FindAbort(options_.max_frame_bytes); !status.ok()) {
    return absl::Status(status.code(), absl::StrFormat("%s: %s", book_.Name(process),
                                                       std::string(status.message())));
  }
  const bool ended = result == FrameReader::Result::kEnd;
  if (!ended && !link.reader().full()) return absl::OkStatus();
  link.PauseReading();
  if (ended && !link.reader().HasNext(options_.max_frame_bytes)) return LostLink(process);
  return absl::OkStatus();  // the frames are read when everybody is there
}

absl::Status MeshConnector::LostLink(int process) {
  links_[static_cast<size_t>(process)].reset();
  const absl::Status lost = absl::UnavailableError("connection lost");
  if (static_cast<size_t>(process) < dialers_.size()) {
    DialFailed(process, lost);
  } else if (listener_ != nullptr) {
    Log(absl::StrFormat("%s: connection lost; waiting for it to reconnect", book_.Name(process)));
  } else {
    return absl::UnavailableError(absl::StrFormat("%s: connection lost", book_.Name(process)));
  }
  return absl::OkStatus();
}

void MeshConnector::WaitForEvents(int64_t until_ms) {
  for (const Dialer& dialer : dialers_) until_ms = std::min(until_ms, dialer.due_ms());
  for (const auto& candidate : candidates_) {
    until_ms = std::min(until_ms, candidate->deadline_ms());
  }
  const int64_t heartbeat_ms = std::max<int64_t>(ToMilliseconds(options_.peer_timeout) / 8, 1);
  int64_t wait_ms = std::min(until_ms - loop_.now_ms(), heartbeat_ms);
  if (options_.stop_requested) wait_ms = std::min(wait_ms, kStopPollMs);
  loop_.Wait(std::chrono::milliseconds(std::max<int64_t>(wait_ms, 0)));
}

absl::Status MeshConnector::TimedOut() const {
  std::vector<std::string> missing;
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  for (int process = 0; process < options_.process_count; ++process) {
    if (!IsMissing(process)) continue;
    const absl::Status why = WhyMissing(process);
    if (absl::IsPermissionDenied(why)) code = why.code();
    missing.push_back(why.ok() ? book_.Name(process)
                               : absl::StrFormat("%s: %s", book_.Name(process), why.message()));
  }
  return absl::Status(
      code, absl::StrFormat("%s still misses, after %s, %s", book_.Name(options_.process_id),
                            absl::FormatDuration(options_.connect_timeout),
                            absl::StrJoin(missing, ", ")));
}

// A refusal says more than a later attempt that found nobody.
absl::Status MeshConnector::WhyMissing(int process) const {
  if (const absl::Status& refusal = refusals_.last(process); !refusal.ok()) {
    return absl::Status(refusal.code(), absl::StrFormat("a process in its place was refused: %s",
                                                        std::string(refusal.message())));
  }
  const auto index = static_cast<size_t>(process);
  if (index >= dialers_.size() || dialers_[index].last_error().empty()) return absl::OkStatus();
  return absl::UnavailableError(dialers_[index].last_error());
}

void MeshConnector::Log(std::string_view message) const {
  if (options_.log) options_.log(message);
}

}  // namespace headway::internal
