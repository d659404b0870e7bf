#include "comm/mesh/candidate.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "comm/system/socket.h"
#include "comm/wire/wire.h"

namespace headway::internal {

void SendAbort(Link& link, const absl::Status& cause, std::span<const std::byte> before) {
  constexpr size_t kMaxMessageBytes = 2048;  // so that it fits in a frame of the handshake
  FrameEncoder encoder;
  const std::string message(cause.message().substr(0, kMaxMessageBytes));
  const std::span<const std::byte> abort = encoder.Abort(absl::Status(cause.code(), message));
  // Sent together, since an Abort overtakes frames that are sent before it.
  std::vector<std::byte> frames(before.begin(), before.end());
  frames.insert(frames.end(), abort.begin(), abort.end());
  link.Send({.frame_class = FrameClass::kAbort, .head = frames});
  link.Flush();
}

Candidate::Candidate(const MeshOptions& options, std::span<const std::string> addresses,
                     Origin origin, std::optional<int> expected, std::unique_ptr<Link> link,
                     int64_t deadline_ms)
    : origin_(origin),
      expected_(expected),
      link_(std::move(link)),
      handshake_(
          options, addresses,
          origin == Origin::kDialed || (origin == Origin::kGiven && options.process_id > *expected)
              ? Handshake::End::kConnector
              : Handshake::End::kAcceptor,
          expected, RandomNonce()),
      deadline_ms_(deadline_ms),
      connecting_(origin == Origin::kDialed) {
  link_->Send({.frame_class = FrameClass::kControl, .head = handshake_.hello()});
  if (connecting_) {
    link_->AwaitWritable();
  } else {
    link_->Flush();
  }
}

Candidate::Outcome Candidate::Drop(absl::Status status) {
  status_ = std::move(status);
  return Outcome::kDropped;
}

Candidate::Outcome Candidate::Advance(int64_t now_ms) {
  if (outcome_ == Outcome::kPending) outcome_ = Step(now_ms);
  return outcome_;
}

Candidate::Outcome Candidate::Step(int64_t now_ms) {
  if (connecting_ && link_->writable()) {
    if (absl::Status status = FinishConnect(link_->fd()); !status.ok()) return Drop(status);
    connecting_ = false;
  }
  Outcome outcome = Outcome::kPending;
  if (!connecting_) {
    if (link_->writable()) link_->Flush();
    if (link_->readable()) outcome = ReadFrames();
  }
  link_->ClearReady();
  if (outcome == Outcome::kPending && now_ms >= deadline_ms_) {
    return Drop(absl::UnavailableError(connecting_ ? "no answer" : "handshake timed out"));
  }
  return outcome;
}

std::unique_ptr<Link> Candidate::Refuse(const absl::Status& why) {
  // A proof helps who guesses secrets, so a stranger gets none.
  if (outcome_ == Outcome::kDropped) withheld_.clear();
  SendAbort(*link_, why, withheld_);
  return TakeLink();
}

Candidate::Outcome Candidate::ReadFrames() {
  constexpr int kReceives = 16;  // far more than a handshake takes
  for (int i = 0; i < kReceives; ++i) {
    const FrameReader::Result result = link_->Receive();
    if (absl::Status status = HandleFrames(); !status.ok()) {
      status_ = std::move(status);
      return handshake_.refused() ? Outcome::kRefused : Outcome::kDropped;
    }
    if (handshake_.done()) return Outcome::kDone;
    switch (result) {
      case FrameReader::Result::kMore:
        break;
      case FrameReader::Result::kDrained:
        return Outcome::kPending;
      case FrameReader::Result::kEnd:
        return Drop(absl::UnavailableError("connection lost during the handshake"));
      case FrameReader::Result::kNoMemory:
        return Drop(absl::ResourceExhaustedError("out of memory for received frames"));
    }
  }
  return Drop(absl::InvalidArgumentError("too many bytes for a handshake"));
}

absl::Status Candidate::HandleFrames() {
  std::vector<std::byte> reply;
  const absl::Status status = ShakeHands(&reply);
  // Also if this end refuses the peer: the peer needs the Proof to believe the reason.
  if (origin_ == Origin::kLate) {
    std::ranges::copy(reply, std::back_inserter(withheld_));
  } else if (!reply.empty()) {
    link_->Send({.frame_class = FrameClass::kControl, .head = reply});
    link_->Flush();
  }
  return status;
}

absl::Status Candidate::ShakeHands(std::vector<std::byte>* reply) {
  while (!handshake_.done()) {
    const auto frame = link_->reader().Next(kMaxHandshakeFrameBytes);
    if (!frame.ok()) return frame.status();
    if (!frame->has_value()) break;
    absl::Status status = handshake_.Receive(*(*frame)->frame, (*frame)->bytes, reply);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
