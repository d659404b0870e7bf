#include "headway/cli/stop_signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <atomic>

namespace headway::cli {
namespace {

int stop_descriptor = -1;
std::atomic<bool> stopping = false;

void OnSignal(int number) {
  const int saved_errno = errno;
  if (stopping.exchange(true)) {
    // The signal is blocked until this handler returns; then it ends the process.
    signal(number, SIG_DFL);
    raise(number);
  }
  eventfd_write(stop_descriptor, 1);
  errno = saved_errno;
}

}  // namespace

int HandleStopSignals() {
  stop_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_descriptor < 0) return -1;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
  return stop_descriptor;
}

}  // namespace headway::cli
