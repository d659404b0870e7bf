#ifndef HEADWAY_COMM_SYSTEM_EVENT_LOOP_H_
#define HEADWAY_COMM_SYSTEM_EVENT_LOOP_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace headway::internal {

// A duration in the unit of the loop's time. It is capped at decades, so that sums do not overflow.
inline int64_t ToMilliseconds(absl::Duration duration) {
  constexpr int64_t kForever = int64_t{1} << 40;
  return std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 0, kForever);
}

// A libuv loop, reduced to the needs of connections: it notes which sockets are ready, and tells
// the time. It has no thread; the caller of Poll or Wait runs it. There are no callbacks: a Watcher
// is polled for the noted events.
//
// Thread safety: one thread at a time; any thread may call Wake at any time.
class EventLoop {
 public:
  // ResourceExhausted: the system has no descriptors left.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  // REQUIRES: no Watcher is left.
  ~EventLoop();

  // Notes the events that are ready now.
  void Poll();
  // Reads the clock, as Poll does, without noting events.
  void ReadClock();

  // Waits until an event is ready, Wake is called or `timeout` has passed (none: without limit; not
  // positive: not at all), and notes the ready events. A Wake since the last Wait ends it at once.
  void Wait(std::optional<std::chrono::nanoseconds> timeout);

  // Ends a Wait, or the next one. Thread safe.
  void Wake();

  // A descriptor that is readable when an event is ready, or Wake was called since the last Poll or
  // Wait. It reflects the watched events as of then.
  int descriptor() const;

  // Milliseconds since some fixed moment, monotonic, as of the last Poll, Wait or ReadClock.
  int64_t now_ms() const;

 private:
  friend class Watcher;
  struct Handles;
  EventLoop();

  const std::unique_ptr<Handles> handles_;
  std::atomic<bool> woken_{false};  // Wake was called, and no Wait has ended since
};

// Notes when a socket is readable or writable.
//
// Thread safety: that of its loop.
class Watcher {
 public:
  // Watches nothing at first. REQUIRES: `fd` stays open as long as this exists.
  Watcher(EventLoop& loop, int fd);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Sets the events to note from now on.
  void Watch(bool readable, bool writable);
  bool watches_writable() const;

  // Returns true if the socket is readable.
  bool readable() const;
  bool writable() const;
  // Returns true if the socket has failed. It then counts as readable and writable, and the loop
  // reports nothing more.
  bool failed() const;
  // Forgets the noted events; the loop notes them again if they persist.
  void Clear();

 private:
  struct State;
  State* state_;  // owned; the loop frees it when it lets go of the handle
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_EVENT_LOOP_H_
