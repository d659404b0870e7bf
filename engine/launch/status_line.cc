#include "engine/launch/status_line.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/launch/status_text.h"

namespace headway::internal {
namespace {

constexpr std::chrono::milliseconds kPeriod{500};
constexpr std::string_view kErase = "\r\x1b[K";

// A longer line would wrap, and could not be overwritten.
size_t Columns(int terminal) {
  winsize size = {};
  constexpr size_t kDefault = 80;
  if (ioctl(terminal, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefault;
  return size.ws_col;
}

// Other users of the descriptor expect it to block, so it is opened again without blocking.
FileDescriptor OpenAgain(int descriptor) {
  if (isatty(descriptor) == 0) return FileDescriptor();
  return FileDescriptor(open(absl::StrFormat("/proc/self/fd/%d", descriptor).c_str(),
                             O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

// An update that the terminal does not take is lost: the next one replaces it.
void Write(int descriptor, std::string_view text) {
  [[maybe_unused]] const ssize_t count = write(descriptor, text.data(), text.size());
}

// Returns true if the terminal belongs to other programs now. Output would disturb them, and the
// terminal may stop this process for it.
bool IsInBackground(int terminal) {
  const pid_t foreground = tcgetpgrp(terminal);
  return foreground >= 0 && foreground != getpgrp();
}

}  // namespace

StatusLine::StatusLine(int descriptor, std::string prefix, const RunMonitor& monitor, Clock& clock)
    : terminal_(OpenAgain(descriptor)),
      prefix_(std::move(prefix)),
      monitor_(monitor),
      clock_(clock) {
  if (!terminal_.is_open()) return;
  try {
    thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    // The run does not need the line.
  }
}

StatusLine::~StatusLine() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  Erase();
}

void StatusLine::Run() {
  StatusText text(Now());
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kPeriod, [this] { return ending_; })) {
    if (IsInBackground(terminal_.get())) continue;
    if (const auto statistics = monitor_.Look()) Draw(text.Update(*statistics, Now()));
  }
}

void StatusLine::Draw(const std::string& text) {
  std::string line = prefix_ + text;
  line.resize(std::min(line.size(), Columns(terminal_.get()) - 1));
  Write(terminal_.get(), std::string(kErase) + line);
  drawn_ = true;
}

void StatusLine::Erase() {
  if (std::exchange(drawn_, false)) Write(terminal_.get(), kErase);
}

void StatusLine::Hide(absl::FunctionRef<void()> f) {
  std::lock_guard lock(mutex_);
  Erase();
  f();
}

}  // namespace headway::internal
