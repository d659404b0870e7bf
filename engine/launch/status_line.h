#ifndef HEADWAY_ENGINE_LAUNCH_STATUS_LINE_H_
#define HEADWAY_ENGINE_LAUNCH_STATUS_LINE_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "comm/system/file_descriptor.h"
#include "engine/runtime/run_monitor.h"

namespace headway::internal {

// While it lives, a line of a terminal shows how a run gets on (StatusText). It is written twice a
// second over the one before, by a thread of its own, and erased in the end. Shows nothing before
// the run has begun, if the descriptor is no terminal, or if the terminal cannot be opened again.
// Waits for nobody: what a terminal that was stopped does not take is not shown.
//
// Thread safe.
class StatusLine {
 public:
  // `prefix` goes before the text. What the arguments refer to outlives this.
  StatusLine(int descriptor, std::string prefix, const RunMonitor& monitor, Clock& clock);
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Calls f while the line is not there, so that what f prints to the terminal stands by itself.
  void Hide(absl::FunctionRef<void()> f);

 private:
  void Run();
  void Draw(const std::string& text);
  void Erase();
  absl::Duration Now() { return absl::Nanoseconds(clock_.NowNanos()); }

  FileDescriptor terminal_;  // one that does not block; not open if nothing is shown
  const std::string prefix_;
  const RunMonitor& monitor_;
  Clock& clock_;
  std::thread thread_;  // not joinable: nothing is shown
  std::mutex mutex_;    // guards what follows
  std::condition_variable changed_;
  bool ending_ = false;
  bool drawn_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STATUS_LINE_H_
