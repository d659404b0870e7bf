#ifndef HEADWAY_OPERATORS_IO_STDOUT_H_
#define HEADWAY_OPERATORS_IO_STDOUT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/step/sink.h"

namespace headway {

namespace internal {

template <class D>
void AppendText(std::string& out, const D& record) {
  if constexpr (requires {
                  record.first;
                  record.second;
                }) {
    out.append("(");
    AppendText(out, record.first);
    out.append(", ");
    AppendText(out, record.second);
    out.append(")");
  } else if constexpr (requires { out.append(record); }) {
    out.append(record);
  } else if constexpr (requires { ToString(record); }) {
    out.append(ToString(record));
  } else {
    static_assert(
        requires { absl::StrAppend(&out, record); },
        "StdOutSink: the record cannot be printed: it must be a number, a string, a pair of such, "
        "or have a function "
        "std::string ToString(const Record&) beside it; or turn it into a string with Map");
    absl::StrAppend(&out, record);
  }
}

}  // namespace internal

// Prints each record on a line of its own to the process's standard output. A record is a number, a
// string, a pair of these, or has a function `std::string ToString(const Record&)` beside it. Lines
// of several workers do not mix, nor do lines of several processes in a file, or in a pipe if they
// have at most PIPE_BUF (4,096) bytes. The order of lines between workers is not fixed.
// Errors: the write fails.
class StdOutSink {
 public:
  class Writer {
   public:
    template <class D>
    absl::Status Write(const D& record) {
      internal::AppendText(text_, record);
      text_.push_back('\n');
      return text_.size() < kFlushBytes ? absl::OkStatus() : Flush();
    }
    absl::Status Flush();

   private:
    static constexpr size_t kFlushBytes = 64 * 1024;
    std::string text_;
  };

  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(); }
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_STDOUT_H_
