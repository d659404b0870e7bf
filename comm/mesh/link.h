#ifndef HEADWAY_COMM_MESH_LINK_H_
#define HEADWAY_COMM_MESH_LINK_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/time/time.h"
#include "comm/memory/slab.h"
#include "comm/system/event_loop.h"
#include "comm/system/file_descriptor.h"
#include "comm/wire/frame_reader.h"
#include "comm/wire/send_queue.h"
#include "comm/wire/transport.h"

namespace headway::internal {

// One connection: a connected stream socket, its send queue, its frame reader, and the times of its
// last traffic. It handles frames, but does not interpret them.
//
// Thread safety: that of its loop.
class Link {
 public:
  // Takes the socket, which must be non-blocking. The referents of the other arguments outlive the
  // link.
  Link(EventLoop& loop, FileDescriptor socket, SlabPool* slabs, BlockList* written);

  void Send(const OutgoingFrame& frame);
  // Writes as much as the socket accepts. Returns true if nothing is left. A failed connection
  // drops everything; reading reports the failure.
  bool Flush();
  // Watches for room in the socket, until the next Flush.
  void AwaitWritable() { watcher_.Watch(reading_, true); }
  size_t QueuedBytes(FrameClass frame_class) const { return queue_.bytes(frame_class); }
  bool idle() const { return queue_.empty(); }
  // Ends the sending side, and drops queued frames. The peer reads the written bytes, and then the
  // end.
  void EndSending();

  FrameReader& reader() { return reader_; }
  // Receives once; after frames that are left if `more`.
  FrameReader::Result Receive(bool more = false);
  // Discards everything that arrives from now on. Returns true if the peer has ended its side.
  bool Discard();
  // Pauses and resumes watching for input.
  void PauseReading() { WatchAgain(false); }
  void ResumeReading() { WatchAgain(true); }

  bool readable() const { return watcher_.readable(); }
  bool writable() const { return watcher_.writable(); }
  void ClearReady() { watcher_.Clear(); }

  // Sends a heartbeat after a quarter of the peer's timeout without traffic.
  void KeepAlive(absl::Duration peer_timeout);

  // In the loop's milliseconds.
  int64_t last_sent_ms() const { return last_sent_ms_; }
  int64_t last_heard_ms() const { return last_heard_ms_; }
  // Forgives a silence: this process did not read meanwhile.
  void set_last_heard_ms(int64_t now_ms) { last_heard_ms_ = now_ms; }

  int fd() const { return socket_.get(); }

 private:
  void WatchAgain(bool reading);

  EventLoop& loop_;
  FileDescriptor socket_;  // outlives watcher_
  Watcher watcher_;
  SendQueue queue_;
  FrameReader reader_;
  bool reading_ = true;
  bool sending_ = true;  // neither ended nor failed
  int64_t last_sent_ms_;
  int64_t last_heard_ms_;
};

// Ends connections without losing sent bytes: writes the queued frames, ends the sending side, and
// discards input until the peers end too, for `timeout` at most. (Closing a socket with unread
// input resets it, and the peer may lose bytes in flight.)
void EndLinks(EventLoop& loop, std::span<Link* const> links, absl::Duration timeout);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_LINK_H_
