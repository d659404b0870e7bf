#include "operators/io/stdout.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "comm/system/output.h"

namespace headway {
namespace {

// The largest size of one write to the descriptor: a pipe mixes longer writes with those of other
// processes.
size_t MaxPieceOf(int descriptor) {
  struct stat info = {};
  const bool is_file = fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
  return is_file ? SIZE_MAX : PIPE_BUF;
}

// The beginning of `text`: as many whole lines as fit, or one line that does not.
std::string_view FirstPiece(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = text.rfind('\n', max_bytes - 1);
  if (end == std::string_view::npos) end = text.find('\n');
  return text.substr(0, end + 1);
}

// Bypasses stdio, which writes whole pages and cuts lines.
int WriteLines(std::string_view lines) {
  // The program's own output comes first.
  if (const int error = internal::FlushStream(stdout); error != 0) return error;
  const int descriptor = fileno(stdout);
  const size_t max_piece = MaxPieceOf(descriptor);
  int error = 0;
  while (error == 0 && !lines.empty()) {
    const std::string_view piece = FirstPiece(lines, max_piece);
    error = internal::WriteAll(descriptor, piece);
    lines.remove_prefix(piece.size());
  }
  return error;
}

}  // namespace

absl::Status StdOutSink::Writer::Flush() {
  if (text_.empty()) return absl::OkStatus();
  flockfile(stdout);  // the other workers of the process wait
  const int error = WriteLines(text_);
  funlockfile(stdout);
  text_.clear();
  if (error == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(error, "cannot write to standard output");
}

}  // namespace headway
