#ifndef HEADWAY_ENGINE_RUNTIME_STOP_SIGNALS_H_
#define HEADWAY_ENGINE_RUNTIME_STOP_SIGNALS_H_

#include <functional>

#include "engine/runtime/config.h"

namespace headway::internal {

// Requests a stop when the process receives SIGINT or SIGTERM (RunOptions::stop_on_signals). A
// second signal ends the process. The first object of the process installs the handlers, the last
// one restores the previous ones. One signal requests the stops of all of them.
//
// A signal that the process ignores stays ignored: a shell starts programs in the background so.
//
// Thread safe.
class StopOnSignals {
 public:
  explicit StopOnSignals(const StopHandle& stop);
  ~StopOnSignals();
  StopOnSignals(const StopOnSignals&) = delete;
  StopOnSignals& operator=(const StopOnSignals&) = delete;

 private:
  StopHandle stop_;
  const std::function<void()> request_;
};

// Ends the process as the default action of the signal does, also a process that is the first of
// its container, which has no default actions. For signal handlers.
[[noreturn]] void EndBySignal(int signal);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_STOP_SIGNALS_H_
