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

// Shows the progress of a run (StatusText) in a line of a terminal, until it is destroyed. A thread
// rewrites the line twice a second; the destructor erases it. Nothing is shown before the run has
// begun, if the descriptor is no terminal, or if the terminal cannot be opened again. Writes never
// block: a stopped terminal misses updates.
//
// Thread safe.
class StatusLine {
 public:
  // `prefix` stands before the text. `monitor` and `clock` outlive the line.
  StatusLine(int descriptor, std::string prefix, const RunMonitor& monitor, Clock& clock);
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  // Erases the line, calls f, and shows the line again at its next update. For output of f to the
  // terminal.
  void Hide(absl::FunctionRef<void()> f);

 private:
  void Run();
  void Draw(const std::string& text);
  void Erase();
  absl::Duration Now() { return absl::Nanoseconds(clock_.NowNanos()); }

  FileDescriptor terminal_;  // non-blocking; not open: nothing is shown
  const std::string prefix_;
  const RunMonitor& monitor_;
  Clock& clock_;
  std::thread thread_;  // not joinable: nothing is shown
  std::mutex mutex_;    // guards the members below
  std::condition_variable changed_;
  bool ending_ = false;
  bool drawn_ = false;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_STATUS_LINE_H_
