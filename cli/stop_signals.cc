#include "cli/stop_signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <atomic>

#include "engine/launch/stop_event.h"
#include "engine/runtime/stop_signals.h"

namespace headway::cli {
namespace {

int stop_descriptor = -1;
std::atomic<bool> stopping = false;

void OnSignal(int number) {
  const int saved_errno = errno;
  if (stopping.exchange(true)) internal::EndBySignal(number);
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
