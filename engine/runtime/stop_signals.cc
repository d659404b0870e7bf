#include "engine/runtime/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>

#include "engine/runtime/listener_list.h"

namespace headway::internal {
namespace {

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

// The handlers of a process are global, so this is too. It is never destroyed: a handler may run
// until the process has ended.
struct Handlers {
  ListenerList stops;
  std::atomic<bool> signalled{false};  // since the handlers were installed

  std::mutex mutex;  // guards the members below
  int objects = 0;
  std::array<struct sigaction, kSignals.size()> before = {};
};

std::atomic<Handlers*> handlers = nullptr;

Handlers& TheHandlers() {
  static auto& made = *new Handlers;
  handlers = &made;
  return made;
}

bool IsIgnored(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
}

void OnSignal(int signal) {
  Handlers& all = *handlers.load();
  if (all.signalled.exchange(true)) EndBySignal(signal);
  all.stops.CallAll();
}

}  // namespace

StopOnSignals::StopOnSignals(const StopHandle& stop)
    : stop_(stop), request_([this] { stop_.RequestStop(); }) {
  Handlers& all = TheHandlers();
  all.stops.Add(request_);
  std::lock_guard lock(all.mutex);
  if (++all.objects > 1) return;
  all.signalled = false;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &all.before[i]);
    if (!IsIgnored(all.before[i])) sigaction(kSignals[i], &action, nullptr);
  }
}

StopOnSignals::~StopOnSignals() {
  Handlers& all = TheHandlers();
  {
    std::lock_guard lock(all.mutex);
    if (--all.objects == 0) {
      for (size_t i = 0; i < kSignals.size(); ++i) {
        sigaction(kSignals[i], &all.before[i], nullptr);
      }
    }
  }
  all.stops.Remove(request_);
}

void EndBySignal(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  raise(signal);  // a handler of this signal has it blocked
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  // The kernel drops signals without a handler for the first process of a container.
  constexpr int kSignalExitCode = 128;
  _exit(kSignalExitCode + signal);
}

}  // namespace headway::internal
