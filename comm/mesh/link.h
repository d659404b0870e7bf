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

// One connection: a connected stream socket with what waits to be sent and what has arrived, and
// when either was last so. It knows frames, but not what they mean.
//
// Thread safety: that of its loop.
class Link {
 public:
  // Takes the socket, which must not block. What the other arguments point to outlives the link.
  Link(EventLoop& loop, FileDescriptor socket, SlabPool* slabs, BlockList* written);

  void Send(const OutgoingFrame& frame);
  // Writes what the socket takes. Returns whether nothing is left. A connection that has failed
  // drops everything; reading will tell of the failure.
  bool Flush();
  // Watches for when the socket can be written, until the next Flush.
  void AwaitWritable() { watcher_.Watch(reading_, true); }
  size_t QueuedBytes(FrameClass frame_class) const { return queue_.bytes(frame_class); }
  bool idle() const { return queue_.empty(); }
  // Says that nothing more will be sent, and drops what is queued. The peer reads what was written,
  // and then the end.
  void EndSending();

  FrameReader& reader() { return reader_; }
  // Receives once, behind frames that are left if `more`.
  FrameReader::Result Receive(bool more = false);
  // Receives for good: from now on everything that arrives is thrown away. Returns whether the peer
  // has ended its side.
  bool Discard();
  // Stops watching for what arrives, and starts again.
  void PauseReading() { WatchAgain(false); }
  void ResumeReading() { WatchAgain(true); }

  bool readable() const { return watcher_.readable(); }
  bool writable() const { return watcher_.writable(); }
  void ClearReady() { watcher_.Clear(); }

  // Sends a heartbeat if nothing was sent for a quarter of the time after which the peer gives up.
  void KeepAlive(absl::Duration peer_timeout);

  // In the loop's milliseconds.
  int64_t last_sent_ms() const { return last_sent_ms_; }
  int64_t last_heard_ms() const { return last_heard_ms_; }
  // Forgives a silence, because this process did not listen.
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

// Ends connections so that nothing that was sent is lost: writes what is queued, says that it was
// all, and throws away what arrives until the peers end too, for `timeout` at most. (Closing a
// socket with unread input resets it, and the peer may lose what was on its way.)
void EndLinks(EventLoop& loop, std::span<Link* const> links, absl::Duration timeout);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_LINK_H_
