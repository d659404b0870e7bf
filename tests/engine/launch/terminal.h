#ifndef HEADWAY_TESTS_ENGINE_LAUNCH_TERMINAL_H_
#define HEADWAY_TESTS_ENGINE_LAUNCH_TERMINAL_H_

#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "comm/system/file_descriptor.h"
#include "tests/engine/launch/process_harness.h"

namespace headway {

// A pseudo-terminal. The test is its user, and sees the bytes written to `end`.
class Terminal {
 public:
  explicit Terminal(int columns = 0) {
    winsize size = {};
    size.ws_col = static_cast<uint16_t>(columns);
    int user, end_of_program;
    REQUIRE(openpty(&user, &end_of_program, nullptr, nullptr, &size) == 0);
    user_ = internal::FileDescriptor(user);
    end = internal::FileDescriptor(end_of_program);
  }

  // Waits until `part` is shown. Returns the text shown since the last call, up to and with `part`.
  std::string ReadUntil(const std::string& part) {
    size_t at;
    while ((at = shown_.find(part)) == std::string::npos) {
      pollfd readable = {user_.get(), POLLIN, 0};
      REQUIRE_MESSAGE(poll(&readable, 1, kGiveUpMs) == 1, shown_);
      char buffer[256];
      const ssize_t count = read(user_.get(), buffer, sizeof buffer);
      REQUIRE_MESSAGE(count > 0, shown_);
      shown_.append(buffer, static_cast<size_t>(count));
    }
    std::string text = shown_.substr(0, at + part.size());
    shown_.erase(0, text.size());
    return text;
  }
  // The rest, once nobody has `end` open any more but this.
  std::string ReadRest() {
    end.Close();
    std::string text = std::exchange(shown_, {});
    char buffer[256];
    for (ssize_t count; (count = read(user_.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }

  internal::FileDescriptor end;

 private:
  internal::FileDescriptor user_;
  std::string shown_;  // and not returned yet
};

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_LAUNCH_TERMINAL_H_
