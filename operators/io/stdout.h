#ifndef HEADWAY_OPERATORS_IO_STDOUT_H_
#define HEADWAY_OPERATORS_IO_STDOUT_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/step/sink.h"
#include "operators/record_text.h"

namespace headway {

// Prints each record on a line of its own to the process's standard output, as record_text.h
// describes: numbers, strings, and std types of these. Another record type needs a function
// `std::string ToString(const Record&)` beside it. Lines of several workers do not mix, nor do
// lines of several processes in a file, or in a pipe if they have at most PIPE_BUF (4,096) bytes. A
// full pipe is waited for, also one that does not block. The order of lines between workers is not
// fixed. Errors: the write fails.
class StdOutSink {
 public:
  class Writer {
   public:
    template <class D>
    absl::Status Write(const D& record) {
      constexpr bool kPrints = internal::IsPrintable<D>();
      static_assert(kPrints,
                    "StdOutSink: the record cannot be printed: it must be a number, a string, or a "
                    "std type of these, or have a function std::string ToString(const Record&) "
                    "beside it; or turn it into a string with Map");
      if constexpr (kPrints) internal::AppendText(text_, record);
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
