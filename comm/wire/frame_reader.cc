#include "comm/wire/frame_reader.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "check.h"
#include "comm/wire/wire.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {

FrameReader::~FrameReader() {
  if (slab_ != nullptr) slab_->Unref();
}

// Finds room for the rest of the next frame, or for more frames if it is complete.
bool FrameReader::MakeRoom() {
  const size_t part = end_ - begin_;
  if (slab_ != nullptr) {
    const bool own = slab_->Unshared();
    if (part == 0 && own && slab_->capacity() == SlabPool::kSlabBytes) {
      begin_ = end_ = 0;
      return true;
    }
    const size_t room = slab_->capacity() - end_;
    if (part == 0 ? room >= kMinRoomBytes : begin_ + next_frame_bytes_ <= slab_->capacity()) {
      return true;
    }
    if (own && slab_->capacity() >= next_frame_bytes_ && part > 0) {
      std::memmove(slab_->data(), slab_->data() + begin_, part);
      begin_ = 0;
      end_ = part;
      return true;
    }
  }
  Slab* slab = slabs_->Get(next_frame_bytes_);
  if (slab == nullptr) return false;
  if (slab_ != nullptr) {
    std::memcpy(slab->data(), slab_->data() + begin_, part);
    slab_->Unref();
  }
  slab_ = slab;
  begin_ = 0;
  end_ = part;
  return true;
}

FrameReader::Result FrameReader::Receive(int fd) {
  if (!MakeRoom()) return Result::kNoMemory;
  return ReceiveIntoRoom(fd);
}

FrameReader::Result FrameReader::ReceiveMore(int fd) {
  if (slab_ == nullptr) return Receive(fd);
  if (end_ == slab_->capacity()) return Result::kDrained;
  return ReceiveIntoRoom(fd);
}

FrameReader::Result FrameReader::ReceiveIntoRoom(int fd) {
  const size_t room = slab_->capacity() - end_;
  ssize_t count;
  do {
    count = recv(fd, slab_->data() + end_, room, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Result::kDrained;
  if (count <= 0) return Result::kEnd;
  end_ += static_cast<size_t>(count);
  return static_cast<size_t>(count) == room ? Result::kMore : Result::kDrained;
}

absl::StatusOr<std::optional<IncomingFrame>> FrameReader::Next(size_t max_frame_bytes) {
  if (unread_bytes() < kSizePrefixBytes) return std::nullopt;
  std::byte* const start = slab_->data() + begin_;
  const absl::StatusOr<size_t> size = FrameSize(start, max_frame_bytes);
  if (!size.ok()) return size.status();
  if (unread_bytes() < *size) {
    next_frame_bytes_ = *size;
    return std::nullopt;
  }
  next_frame_bytes_ = kFrameAlignment;
  const std::span<std::byte> bytes(start, *size);
  const absl::StatusOr<const wire::Frame*> frame = VerifyFrame(bytes);
  if (!frame.ok()) return frame.status();
  begin_ += *size;
  return IncomingFrame{.frame = *frame, .bytes = bytes, .slab = slab_};
}

void FrameReader::SkipHeartbeats(size_t max_frame_bytes) {
  while (HasNext(max_frame_bytes)) {
    std::byte* const start = slab_->data() + begin_;
    const absl::StatusOr<size_t> size = FrameSize(start, max_frame_bytes);
    if (!size.ok()) return;
    const absl::StatusOr<const wire::Frame*> frame = VerifyFrame({start, *size});
    if (!frame.ok() || (*frame)->body_type() != wire::Body::Heartbeat) return;
    begin_ += *size;
    if (begin_ == end_ && slab_->Unshared()) begin_ = end_ = 0;
  }
}

bool FrameReader::HasNext(size_t max_frame_bytes) const {
  if (unread_bytes() < kSizePrefixBytes) return false;
  const absl::StatusOr<size_t> size = FrameSize(slab_->data() + begin_, max_frame_bytes);
  return !size.ok() || unread_bytes() >= *size;
}

absl::Status FrameReader::FindAbort(size_t max_frame_bytes) const {
  for (size_t at = begin_; end_ - at >= kSizePrefixBytes;) {
    std::byte* const start = slab_->data() + at;
    const absl::StatusOr<size_t> size = FrameSize(start, max_frame_bytes);
    if (!size.ok() || end_ - at < *size) break;
    const absl::StatusOr<const wire::Frame*> frame = VerifyFrame({start, *size});
    if (!frame.ok()) break;
    if ((*frame)->body_type() == wire::Body::Abort) return ReadAbort(**frame);
    at += *size;
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
