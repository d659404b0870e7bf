#include "comm/wire/send_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "check.h"
#include "comm/wire/wire.h"

namespace headway::internal {
namespace {

// The classes from the most urgent on.
constexpr std::array kOrder = {FrameClass::kAbort, FrameClass::kControl, FrameClass::kProgress,
                               FrameClass::kData, FrameClass::kGoodbye};

alignas(kFrameAlignment) constexpr std::byte kZeros[kFrameAlignment] = {};

}  // namespace

// The segments of one write, and the frames they belong to, in order.
struct SendQueue::Gathered {
  struct Part {
    uint8_t queue;
    size_t bytes;
  };
  std::array<iovec, kMaxSegments> segments;  // not initialized
  std::array<Part, kMaxSegments> parts;
  size_t segment_count = 0;
  size_t part_count = 0;
  size_t bytes = 0;

  // Whether the segments of one more frame fit.
  bool HasRoom() const {
    constexpr size_t kSegmentsPerFrame = 4;
    return segment_count + kSegmentsPerFrame <= kMaxSegments && part_count < kMaxSegments &&
           bytes < kMaxBytesPerWrite;
  }

  // Adds memory, but for the first `*skip` bytes, which it counts down.
  void Add(const std::byte* data, size_t size, size_t* skip) {
    const size_t skipped = std::min(*skip, size);
    *skip -= skipped;
    data += skipped;
    size -= skipped;
    if (size == 0) return;
    bytes += size;
    if (segment_count > 0) {  // the heads of frames without a body are neighbours
      iovec& last = segments[segment_count - 1];
      if (static_cast<std::byte*>(last.iov_base) + last.iov_len == data) {
        last.iov_len += size;
        return;
      }
    }
    segments[segment_count++] = {.iov_base = const_cast<std::byte*>(data), .iov_len = size};
  }
};

uint32_t SendQueue::Entry::body_padding() const {
  const size_t body_bytes = size_t{front_bytes} + back_bytes;
  return static_cast<uint32_t>(PadToFrameAlignment(body_bytes) - body_bytes);
}

size_t SendQueue::Entry::size() const {
  return head_bytes + PadToFrameAlignment(size_t{front_bytes} + back_bytes);
}

void SendQueue::ClassQueue::PopFront() {
  first_head += entries[first_entry].head_bytes;
  ++first_entry;
  if (empty()) {
    entries.clear();
    heads.clear();
    first_entry = first_head = 0;
  } else if (first_entry >= 64 && 2 * first_entry >= entries.size()) {
    entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(first_entry));
    heads.erase(heads.begin(), heads.begin() + static_cast<ptrdiff_t>(first_head));
    first_entry = first_head = 0;
  }
}

void SendQueue::Push(const OutgoingFrame& frame) {
  HEADWAY_DCHECK(frame.head.size() % kFrameAlignment == 0 && !frame.head.empty());
  HEADWAY_DCHECK(frame.body == nullptr
                     ? frame.front_bytes + frame.back_bytes == 0
                     : size_t{frame.front_bytes} + frame.back_bytes <= frame.body->capacity);
  ClassQueue& queue = classes_[static_cast<size_t>(frame.frame_class)];
  const Entry entry{.head_bytes = static_cast<uint32_t>(frame.head.size()),
                    .front_bytes = frame.front_bytes,
                    .back_bytes = frame.back_bytes,
                    .body = frame.body};
  queue.entries.push_back(entry);
  try {
    queue.heads.insert(queue.heads.end(), frame.head.begin(), frame.head.end());
  } catch (...) {  // an entry without its head would get the next one's
    queue.entries.pop_back();
    throw;
  }
  queue.bytes += entry.size();
  bytes_ += entry.size();
}

void SendQueue::Gather(Gathered* gathered) {
  const auto add = [&](size_t index, const Entry& entry, size_t head_at, size_t skip) {
    const size_t bytes_before = gathered->bytes;
    gathered->Add(classes_[index].heads.data() + head_at, entry.head_bytes, &skip);
    if (entry.body != nullptr) {
      const std::byte* payload = entry.body->payload();
      gathered->Add(payload, entry.front_bytes, &skip);
      gathered->Add(kZeros, entry.body_padding(), &skip);
      gathered->Add(payload + entry.body->capacity - entry.back_bytes, entry.back_bytes, &skip);
    }
    gathered->parts[gathered->part_count++] = {static_cast<uint8_t>(index),
                                               gathered->bytes - bytes_before};
  };
  if (part_written_ > 0) {
    const ClassQueue& queue = classes_[part_class_];
    add(part_class_, queue.entries[queue.first_entry], queue.first_head, part_written_);
  }
  for (const FrameClass frame_class : kOrder) {
    const auto index = static_cast<size_t>(frame_class);
    const ClassQueue& queue = classes_[index];
    size_t head_at = queue.first_head;
    for (size_t i = queue.first_entry; i < queue.entries.size(); ++i) {
      if (!gathered->HasRoom()) return;
      const bool is_part = part_written_ > 0 && index == part_class_ && i == queue.first_entry;
      if (!is_part) add(index, queue.entries[i], head_at, 0);
      head_at += queue.entries[i].head_bytes;
    }
  }
}

// Removes the written bytes from the queues.
void SendQueue::Took(const Gathered& gathered, size_t byte_count) {
  bytes_ -= byte_count;
  for (size_t i = 0; byte_count > 0; ++i) {
    HEADWAY_DCHECK(i < gathered.part_count);
    const auto& part = gathered.parts[i];
    ClassQueue& queue = classes_[part.queue];
    if (byte_count < part.bytes) {
      part_written_ = (part_written_ > 0 && i == 0 ? part_written_ : 0) + byte_count;
      part_class_ = part.queue;
      queue.bytes -= byte_count;
      return;
    }
    byte_count -= part.bytes;
    queue.bytes -= part.bytes;
    Block* body = queue.entries[queue.first_entry].body;
    if (body != nullptr) written_->PushBack(body);
    queue.PopFront();
    if (i == 0) part_written_ = 0;
  }
}

SendQueue::Result SendQueue::Write(int fd) {
  while (!empty()) {
    Gathered gathered;
    Gather(&gathered);
    msghdr message = {};
    message.msg_iov = gathered.segments.data();
    message.msg_iovlen = gathered.segment_count;
    ssize_t count;
    do {
      count = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? Result::kBlocked
                                                                         : Result::kFailed;
    }
    Took(gathered, static_cast<size_t>(count));
    if (static_cast<size_t>(count) < gathered.bytes) return Result::kBlocked;
  }
  return Result::kWritten;
}

void SendQueue::Drop() {
  for (ClassQueue& queue : classes_) {
    while (!queue.empty()) {
      Block* body = queue.entries[queue.first_entry].body;
      if (body != nullptr) written_->PushBack(body);
      queue.PopFront();
    }
    queue.bytes = 0;
  }
  bytes_ = 0;
  part_written_ = 0;
}

}  // namespace headway::internal
