#include "headway/operators/io/stdout.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_format.h"

namespace headway {

absl::Status StdOutSink::Writer::Flush() {
  if (text_.empty()) return absl::OkStatus();
  // stdio locks the stream for each call, so the lines of a call stay together.
  const bool ok = std::fwrite(text_.data(), 1, text_.size(), stdout) == text_.size() &&
                  std::fflush(stdout) == 0;
  const int error = errno;
  text_.clear();
  if (ok) return absl::OkStatus();
  return absl::ErrnoToStatus(error, "cannot write to standard output");
}

}  // namespace headway
