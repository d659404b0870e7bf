#include "cli/stop_signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>

#include "engine/launch/stop_event.h"

namespace headway::cli {
namespace {

// Shells report a process that a signal ended as this plus the number of the signal.
constexpr int kExitCodeOfSignals = 128;

int stop_descriptor = -1;
std::atomic<bool> stopping = false;

void OnSignal(int number) {
  const int saved_errno = errno;
  if (stopping.exchange(true)) {
    // A signal without a handler has no effect on the first process of a container.
    if (getpid() == 1) _exit(kExitCodeOfSignals + number);
    // The signal is blocked until this handler returns; then it ends the process.
    signal(number, SIG_DFL);
    raise(number);
  }
  eventfd_write(stop_descriptor, 1);
  errno = saved_errno;
}

}  // namespace

absl::StatusOr<int> HandleStopSignals() {
  absl::StatusOr<internal::FileDescriptor> event = internal::MakeStopEvent();
  if (!event.ok()) return event.status();
  stop_descriptor = event->Release();
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction before;
    // A shell makes background programs ignore the signals of the keyboard.
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    sigaction(number, &action, nullptr);
  }
  return stop_descriptor;
}

}  // namespace headway::cli
