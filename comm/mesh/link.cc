#include "comm/mesh/link.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>
#include <vector>

#include "comm/wire/wire.h"

namespace headway::internal {

Link::Link(EventLoop& loop, FileDescriptor socket, SlabPool* slabs, BlockList* written)
    : loop_(loop),
      socket_(std::move(socket)),
      watcher_(loop, socket_.get()),
      queue_(written),
      reader_(slabs),
      last_sent_ms_(loop.now_ms()),
      last_heard_ms_(loop.now_ms()) {
  watcher_.Watch(true, false);
}

void Link::WatchAgain(bool reading) {
  reading_ = reading;
  watcher_.Watch(reading_, watcher_.watches_writable());
}

void Link::Send(const OutgoingFrame& frame) {
  queue_.Push(frame);
  if (!sending_) queue_.Drop();
}

bool Link::Flush() {
  if (queue_.empty()) return true;
  last_sent_ms_ = loop_.now_ms();
  const SendQueue::Result result = queue_.Write(socket_.get());
  if (result == SendQueue::Result::kFailed) {
    sending_ = false;
    queue_.Drop();
  }
  const bool blocked = result == SendQueue::Result::kBlocked;
  if (blocked != watcher_.watches_writable()) watcher_.Watch(reading_, blocked);
  return !blocked;
}

void Link::EndSending() {
  if (sending_) shutdown(socket_.get(), SHUT_WR);
  sending_ = false;
  queue_.Drop();
  watcher_.Watch(reading_, false);
}

void Link::KeepAlive(absl::Duration peer_timeout) {
  if (!sending_ || !queue_.empty()) return;
  if (loop_.now_ms() - last_sent_ms_ < ToMilliseconds(peer_timeout / 4)) return;
  FrameEncoder encoder;
  Send({.frame_class = FrameClass::kControl, .head = encoder.Heartbeat()});
  Flush();
}

FrameReader::Result Link::Receive(bool more) {
  const size_t before = reader_.unread_bytes();
  const FrameReader::Result result =
      more ? reader_.ReceiveMore(socket_.get()) : reader_.Receive(socket_.get());
  if (reader_.unread_bytes() > before) last_heard_ms_ = loop_.now_ms();
  // The loop will not tell that the end follows.
  if (result == FrameReader::Result::kDrained && watcher_.failed())
    return FrameReader::Result::kMore;
  return result;
}

bool Link::Discard() {
  std::array<std::byte, 64 * 1024> scrap;
  constexpr int kReceives = 64;  // a peer that never stops must not hold the loop
  for (int i = 0; i < kReceives; ++i) {
    const ssize_t count = recv(socket_.get(), scrap.data(), scrap.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (count <= 0) return true;
  }
  return false;
}

void EndLinks(EventLoop& loop, std::span<Link* const> links, absl::Duration timeout) {
  loop.Poll();
  const int64_t deadline = loop.now_ms() + ToMilliseconds(timeout);
  std::vector<Link*> open(links.begin(), links.end());
  while (true) {
    std::erase_if(open, [](Link* link) {
      link->ClearReady();
      if (link->Flush()) link->EndSending();
      const bool ended = link->Discard();
      if (ended) link->PauseReading();
      return ended;
    });
    const int64_t left = deadline - loop.now_ms();
    if (open.empty() || left <= 0) return;
    loop.Wait(std::chrono::milliseconds(left));
  }
}

}  // namespace headway::internal
