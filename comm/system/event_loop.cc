#include "comm/system/event_loop.h"

#include <sys/eventfd.h>
#include <uv.h>

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

namespace {

// libuv aborts the program if it finds no descriptor for the state that all loops share.
bool HasDescriptorsLeft() {
  constexpr int kUsedByLoop = 8;
  FileDescriptor probes[kUsedByLoop];
  for (FileDescriptor& probe : probes) {
    probe = FileDescriptor(eventfd(0, EFD_CLOEXEC));
    if (!probe.is_open()) return false;
  }
  return true;
}

}  // namespace

struct EventLoop::Handles {
  uv_loop_t loop;
  uv_async_t wake;
  uv_timer_t timer;
};

EventLoop::EventLoop() : handles_(std::make_unique<Handles>()) {}

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  Handles& handles = *loop->handles_;
  handles.loop.data = nullptr;  // not initialized
  int error = HasDescriptorsLeft() ? uv_loop_init(&handles.loop) : UV_EMFILE;
  if (error == 0) {
    handles.loop.data = &handles;
    HEADWAY_CHECK(uv_timer_init(&handles.loop, &handles.timer) == 0);
    error = uv_async_init(&handles.loop, &handles.wake, [](uv_async_t*) {});
    if (error != 0) handles.wake.type = UV_UNKNOWN_HANDLE;
  }
  if (error != 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "cannot create an event loop: %s; allow more open files (ulimit -n)", uv_strerror(error)));
  }
  return loop;
}

EventLoop::~EventLoop() {
  if (handles_->loop.data == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->timer), nullptr);
  if (handles_->wake.type != UV_UNKNOWN_HANDLE) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handles_->wake), nullptr);
  }
  uv_run(&handles_->loop, UV_RUN_DEFAULT);  // until all handles are closed
  HEADWAY_CHECK(uv_loop_close(&handles_->loop) == 0);
}

void EventLoop::Poll() { uv_run(&handles_->loop, UV_RUN_NOWAIT); }

void EventLoop::ReadClock() { uv_update_time(&handles_->loop); }

void EventLoop::Wait(std::optional<std::chrono::nanoseconds> timeout) {
  if (woken_.exchange(false, std::memory_order_acq_rel)) return Poll();
  if (timeout.has_value()) {
    if (timeout->count() <= 0) return Poll();
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
    uv_update_time(&handles_->loop);
    // It repeats: libuv before 1.45 runs timers before it waits, too, and would wait without a
    // limit if this one were due by then and gone.
    const auto interval = static_cast<uint64_t>(milliseconds);
    uv_timer_start(&handles_->timer, [](uv_timer_t*) {}, interval, interval);
  }
  uv_run(&handles_->loop, UV_RUN_ONCE);
  uv_timer_stop(&handles_->timer);
  woken_.exchange(false, std::memory_order_acq_rel);
}

void EventLoop::Wake() {
  if (!woken_.exchange(true, std::memory_order_acq_rel)) uv_async_send(&handles_->wake);
}

int EventLoop::descriptor() const { return uv_backend_fd(&handles_->loop); }

int64_t EventLoop::now_ms() const { return static_cast<int64_t>(uv_now(&handles_->loop)); }

struct Watcher::State {
  uv_poll_t handle;
  int events = 0;       // the events to note
  int ready = 0;        // the noted events
  bool failed = false;  // libuv has stopped watching

  static void Note(uv_poll_t* handle, int status, int events) {
    State* state = static_cast<State*>(handle->data);
    state->ready |= events;
    if (status < 0) state->failed = true;
  }
};

Watcher::Watcher(EventLoop& loop, int fd) : state_(new State) {
  // It fails only for descriptors that cannot be watched, such as files.
  HEADWAY_CHECK(uv_poll_init(&loop.handles_->loop, &state_->handle, fd) == 0);
  state_->handle.data = state_;
}

Watcher::~Watcher() {
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

void Watcher::Watch(bool readable, bool writable) {
  const int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  if (events == state_->events || state_->failed) return;
  state_->events = events;
  HEADWAY_CHECK((events == 0 ? uv_poll_stop(&state_->handle)
                             : uv_poll_start(&state_->handle, events, &State::Note)) == 0);
}

bool Watcher::watches_writable() const { return (state_->events & UV_WRITABLE) != 0; }
bool Watcher::readable() const { return (state_->ready & UV_READABLE) != 0 || state_->failed; }
bool Watcher::writable() const { return (state_->ready & UV_WRITABLE) != 0 || state_->failed; }
bool Watcher::failed() const { return state_->failed; }
void Watcher::Clear() { state_->ready = 0; }

}  // namespace headway::internal
