#ifndef HEADWAY_OPERATORS_IO_JSON_LINES_SINK_H_
#define HEADWAY_OPERATORS_IO_JSON_LINES_SINK_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "operators/io/formatted_sink.h"
#include "operators/io/json_text.h"
#include "operators/io/json_value.h"

namespace headway {

namespace internal {

// Makes lines of JSON.
class JsonTexts {
 public:
  static absl::Status CheckOptions() { return absl::OkStatus(); }
  template <class D>
  absl::Status Append(const D& record, LineWriter& lines) const {
    constexpr bool kWrites = HasJsonText<D>();
    static_assert(kWrites,
                  "JsonLinesSink: the record must be a struct with HEADWAY_COLUMNS, a number, a "
                  "string, or a std type of these, or have a function std::string ToString(const "
                  "Record&) beside it");
    std::string& text = lines.text();
    const size_t begin = text.size();
    if constexpr (kWrites) AppendJson(text, record);
    if (!IsUtf8(std::string_view(text).substr(begin))) {
      return absl::InvalidArgumentError(
          "JsonLinesSink: a record has a string that is not UTF-8, as JSON must be; change or "
          "encode the string in a step before");
    }
    return absl::OkStatus();
  }
};

}  // namespace internal

// Writes each record as a line of JSON to a file; json_text.h lists the types:
//
//   trades | Output("out", JsonLinesSink("trades.json"));
//
// The rest is as in FileSink: worker 0 writes the file, the ends of epochs are durable if the run
// has a recovery store, and a run that resumes cuts the file back to the last commit. Errors are
// those of FileSink. InvalidArgument: a string of a record is not UTF-8.
class JsonLinesSink : public internal::FormattedSink<internal::JsonTexts> {
 public:
  explicit JsonLinesSink(std::string path, FileSinkOptions options = {})
      : FormattedSink(std::move(path), options, internal::JsonTexts()) {}
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_JSON_LINES_SINK_H_
