#ifndef HEADWAY_OPERATORS_IO_STDIN_LINES_H_
#define HEADWAY_OPERATORS_IO_STDIN_LINES_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/source.h"
#include "operators/io/line_buffer.h"

namespace headway {

// The lines of the process's standard input, without their ends ("\n" or "\r\n"), on worker 0
// only: that of process 0 in a cluster. The input ends with the standard input; the last line needs
// no end. A terminal or pipe without a line is looked at again after 1 to 50 ms; the worker does
// not wait for it. A line has at most 1 GiB.
//
// StdinLines keeps no position, since nobody can read the standard input again: in a run with
// recovery the lines after the last commit are lost. Write them to a file and use TailLines to lose
// nothing. A process has one StdinLines at a time: two would share the lines.
//
// Errors: the standard input is closed or cannot be read; a line is longer.
class StdinLines {
 public:
  using Record = std::string;

  class Reader {
   public:
    // `reads`: on worker 0.
    explicit Reader(bool reads) : reads_(reads) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out);

   private:
    bool reads_;
    internal::LineBuffer buffer_;
    absl::Duration wait_ = absl::ZeroDuration();  // the last one, since the last line
  };

  absl::StatusOr<Reader> Open(const SourceContext& context, const std::optional<std::string>&) {
    return Reader(context.worker_index == 0);
  }
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_STDIN_LINES_H_
