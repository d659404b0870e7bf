#include "comm/mesh/tcp_mesh.h"

#include <algorithm>
#include <utility>

#include "check.h"
#include "comm/memory/block_pool.h"
#include "comm/mesh/candidate.h"
#include "comm/mesh/doorkeeper.h"
#include "comm/mesh/link.h"
#include "comm/mesh/mesh_connect.h"
#include "comm/system/address.h"
#include "comm/system/event_loop.h"
#include "comm/system/file_descriptor.h"
#include "comm/wire/wire.h"
#include "comm/wire/wire_generated.h"
#include "format.h"

namespace headway::internal {
namespace {

// The most slabs that one Poll fills from one link, so that the others have their turn.
constexpr int kReceivesPerPoll = 8;
// Up to this many links are polled directly. Without input that takes no longer than polling the
// loop; with input it is one system call instead of two.
constexpr size_t kMaxAskedLinks = 1;
// Times are looked at this often at least, and whoever knocks: who does waits for a few seconds.
constexpr int64_t kMaxCheckIntervalMs = 500;

}  // namespace

// One peer: its link, and the state of the conversation.
struct TcpMesh::Peer {
  int process = 0;
  std::unique_ptr<Link> link;  // null: there is none any more
  bool unread = false;         // frames may be left in the reader
  bool said_goodbye = false;   // the peer has
  bool goodbye_queued = false;
  bool input_ended = false;
  bool given_up = false;             // lost; the link only waits for the peer to read why, until
  int64_t close_at_ms = 0;           // this moment
  std::optional<absl::Status> loss;  // to be told to the handler
};

absl::StatusOr<std::unique_ptr<TcpMesh>> TcpMesh::Connect(const MeshOptions& options,
                                                          std::span<const std::string> addresses) {
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<TcpMesh> mesh(new TcpMesh(options, addresses, *std::move(loop)));
  MeshConnector connector(mesh->options_, mesh->addresses_, *mesh->loop_, mesh->slabs_,
                          &mesh->written_);
  absl::StatusOr<MeshConnector::Links> links = connector.OverAddresses();
  if (!links.ok()) return links.status();
  mesh->Adopt(*std::move(links));
  if (std::unique_ptr<Listener> listener = connector.TakeListener()) {
    mesh->doorkeeper_ =
        std::make_unique<Doorkeeper>(mesh->options_, mesh->addresses_, *mesh->loop_, mesh->slabs_,
                                     &mesh->written_, std::move(listener));
  }
  return mesh;
}

absl::StatusOr<std::unique_ptr<TcpMesh>> TcpMesh::FromSockets(const MeshOptions& options,
                                                              std::span<const int> sockets) {
  std::vector<FileDescriptor> owned;
  for (size_t process = 0; process < sockets.size(); ++process) {
    const bool used = process != static_cast<size_t>(options.process_id);
    owned.emplace_back(used ? sockets[process] : -1);
  }
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) return loop.status();
  std::unique_ptr<TcpMesh> mesh(new TcpMesh(options, {}, *std::move(loop)));
  MeshConnector connector(mesh->options_, {}, *mesh->loop_, mesh->slabs_, &mesh->written_);
  absl::StatusOr<MeshConnector::Links> links = connector.OverSockets(std::move(owned));
  if (!links.ok()) return links.status();
  mesh->Adopt(*std::move(links));
  return mesh;
}

TcpMesh::TcpMesh(const MeshOptions& options, std::span<const std::string> addresses,
                 std::unique_ptr<EventLoop> loop)
    : options_(options),
      addresses_(addresses.begin(), addresses.end()),
      loop_(std::move(loop)),
      slabs_(SlabPool::Create()),
      last_check_ms_(loop_->now_ms()),
      check_interval_ms_(
          std::clamp<int64_t>(ToMilliseconds(options.peer_timeout) / 16, 1, kMaxCheckIntervalMs)) {}

// Does the work of Close without waiting and without memory, which may have run out.
TcpMesh::~TcpMesh() {
  doorkeeper_.reset();
  for (const auto& peer : peers_) {
    if (peer->link == nullptr) continue;
    if (peer->link->Flush()) peer->link->EndSending();
    peer->link->Discard();
    peer->link.reset();
  }
  while (Block* block = written_.PopFront()) BlockPool::FreeBlock(block);
  slabs_->Release();
}

void TcpMesh::Adopt(std::vector<std::unique_ptr<Link>> links) {
  for (size_t process = 0; process < links.size(); ++process) {
    auto peer = std::make_unique<Peer>();
    peer->process = static_cast<int>(process);
    peer->link = std::move(links[process]);
    peer->unread = true;
    peers_.push_back(std::move(peer));
  }
  last_check_ms_ = loop_->now_ms();
}

std::string TcpMesh::Describe(int process) const { return DescribeProcess(process, addresses_); }

void TcpMesh::Send(int process, const OutgoingFrame& frame) {
  HEADWAY_DCHECK(process != process_id());
  Peer& peer = PeerOf(process);
  const bool goodbye_written = peer.goodbye_queued && peer.link != nullptr &&
                               peer.link->QueuedBytes(FrameClass::kGoodbye) == 0;
  const bool ended = peer.link == nullptr || peer.given_up ||
                     (goodbye_written && frame.frame_class != FrameClass::kAbort);
  if (ended) {
    if (frame.body != nullptr) written_.PushBack(frame.body);
    return;
  }
  if (frame.frame_class == FrameClass::kGoodbye) peer.goodbye_queued = true;
  peer.link->Send(frame);
}

bool TcpMesh::Flush() {
  bool all = true;
  for (const auto& peer : peers_) {
    if (peer->link != nullptr && !peer->link->Flush()) all = false;
  }
  return all;
}

size_t TcpMesh::QueuedBytes(int process, FrameClass frame_class) const {
  const Peer& peer = PeerOf(process);
  return peer.link == nullptr ? 0 : peer.link->QueuedBytes(frame_class);
}

// Returns true if Poll may skip the loop, which also reports writable sockets.
bool TcpMesh::AsksLinks() const {
  if (peers_.size() > kMaxAskedLinks + 1) return false;
  if (doorkeeper_ != nullptr && doorkeeper_->busy()) return false;
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) {
    return peer->link == nullptr || (peer->link->idle() && !peer->given_up && !peer->input_ended);
  });
}

bool TcpMesh::Poll(Handler& handler) {
  const bool asks_links = AsksLinks();
  if (asks_links) {
    loop_->ReadClock();
  } else {
    loop_->Poll();
  }
  bool any = false;
  for (const auto& peer : peers_) {
    Link* const link = peer->link.get();
    if (link == nullptr) continue;
    const bool readable = asks_links || link->readable();
    const bool writable = link->writable();
    if (!readable && !writable && !peer->unread) continue;
    link->ClearReady();
    if (writable) link->Flush();
    if (peer->given_up) {
      if (readable && link->Discard()) peer->link.reset();
    } else if ((readable || peer->unread) && !peer->input_ended) {
      any |= Read(*peer, handler);
    }
  }
  if (loop_->now_ms() - last_check_ms_ >= check_interval_ms_) CheckTimes();
  if (doorkeeper_ != nullptr) {
    doorkeeper_->Serve([this](int process) { return IsConnected(process); });
  }
  for (const auto& peer : peers_) {
    if (!peer->loss.has_value()) continue;
    const absl::Status cause = *std::exchange(peer->loss, std::nullopt);
    handler.OnLoss(peer->process, cause);
    any = true;
  }
  return any;
}

bool TcpMesh::IsConnected(int process) const {
  const Peer& peer = PeerOf(process);
  return peer.link != nullptr && !peer.given_up && !peer.input_ended;
}

// Returns true if there was anything.
bool TcpMesh::Read(Peer& peer, Handler& handler) {
  peer.unread = false;
  bool any = false;
  bool more = true;
  for (int receives = 0;; ++receives) {
    if (!HandleFrames(peer, handler, &any)) return true;
    if (!more || receives == kReceivesPerPoll) return any;
    switch (peer.link->Receive()) {
      case FrameReader::Result::kMore:
        break;
      case FrameReader::Result::kDrained:
        more = false;
        break;
      case FrameReader::Result::kEnd:
        EndOfInput(peer);
        return true;
      case FrameReader::Result::kNoMemory:
        Lose(peer, absl::ResourceExhaustedError("out of memory for received frames"), true);
        return true;
    }
  }
}

// Returns false if the link was lost.
bool TcpMesh::HandleFrames(Peer& peer, Handler& handler, bool* any) {
  while (true) {
    const auto frame = peer.link->reader().Next(options_.max_frame_bytes);
    if (!frame.ok()) {
      Lose(peer, frame.status(), true);
      return false;
    }
    if (!frame->has_value()) return true;
    switch ((*frame)->frame->body_type()) {
      case wire::Body::Hello:
      case wire::Body::Proof:
        Lose(peer, absl::InvalidArgumentError("malformed frame: a second handshake"), true);
        return false;
      case wire::Body::Heartbeat:
        continue;
      case wire::Body::Goodbye:
        peer.said_goodbye = true;
        break;
      default:
        break;
    }
    *any = true;
    handler.OnFrame(peer.process, **frame);
  }
}

void TcpMesh::EndOfInput(Peer& peer) {
  if (peer.said_goodbye && !peer.goodbye_queued) {
    // A process that has finished stays until all others have.
    Lose(peer,
         absl::UnavailableError(
             "connection lost after its goodbye, while this process still needs it"),
         false);
  } else if (peer.said_goodbye) {  // it may still read
    peer.input_ended = true;
    peer.link->PauseReading();
  } else {
    Lose(peer, absl::UnavailableError("connection lost"), false);
  }
}

void TcpMesh::Lose(Peer& peer, const absl::Status& cause, bool tell_peer) {
  if (tell_peer) {
    SendAbort(*peer.link,
              absl::Status(cause.code(), Format("%s gave up %s: %s", Describe(process_id()),
                                                Describe(peer.process), cause.message())));
    peer.link->EndSending();
    peer.given_up = true;
    peer.close_at_ms = loop_->now_ms() + kFarewellMs;
  } else {
    peer.link.reset();
  }
  peer.loss = absl::Status(cause.code(), Format("%s: %s", Describe(peer.process), cause.message()));
}

void TcpMesh::CheckTimes() {
  loop_->Poll();  // accepts new connections
  const int64_t now_ms = loop_->now_ms();
  const int64_t timeout_ms = ToMilliseconds(options_.peer_timeout);
  // If this process was stopped itself, a silence proves nothing about its peers.
  const bool was_away = now_ms - last_check_ms_ > timeout_ms / 2;
  last_check_ms_ = now_ms;
  for (const auto& peer : peers_) {
    Link* const link = peer->link.get();
    if (link == nullptr) continue;
    if (peer->given_up) {
      if (now_ms >= peer->close_at_ms) peer->link.reset();
      continue;
    }
    // A process that has said goodbye waits for the goodbyes of the others, and shows until then
    // that it lives. After both goodbyes nothing more is expected of the peer.
    if (peer->said_goodbye && peer->goodbye_queued) continue;
    link->KeepAlive(options_.peer_timeout);
    if (was_away) link->set_last_heard_ms(now_ms);
    if (now_ms - link->last_heard_ms() >= timeout_ms) {
      Lose(*peer,
           absl::UnavailableError(
               Format("nothing heard for %s", absl::FormatDuration(options_.peer_timeout))),
           true);
    }
  }
}

void TcpMesh::Wait(std::optional<std::chrono::nanoseconds> timeout) {
  for (const auto& peer : peers_) {
    if (peer->link == nullptr || peer->input_ended) continue;
    if (peer->unread || peer->link->readable()) return loop_->Poll();
  }
  const std::chrono::nanoseconds until_check = std::chrono::milliseconds(
      std::max<int64_t>(last_check_ms_ + check_interval_ms_ - loop_->now_ms(), 0));
  loop_->Wait(timeout.has_value() ? std::min(*timeout, until_check) : until_check);
}

void TcpMesh::Wake() { loop_->Wake(); }

int TcpMesh::descriptor() const { return loop_->descriptor(); }

void TcpMesh::Close(absl::Duration timeout) {
  doorkeeper_.reset();
  std::vector<Link*> links;
  for (const auto& peer : peers_) {
    if (peer->link != nullptr) links.push_back(peer->link.get());
  }
  EndLinks(*loop_, links, timeout);
  for (const auto& peer : peers_) peer->link.reset();
}

}  // namespace headway::internal
