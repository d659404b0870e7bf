#ifndef HEADWAY_OPERATORS_IO_FORMATTED_SINK_H_
#define HEADWAY_OPERATORS_IO_FORMATTED_SINK_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/sink.h"
#include "operators/io/file_syncer.h"
#include "operators/io/line_writer.h"

namespace headway::internal {

// A FileSink whose lines a Format makes. It has
//
//   absl::Status CheckOptions() const;
//   // Appends the line of a record, without its end, to lines.text(), and maybe lines before it.
//   template <class D>
//   absl::Status Append(const D& record, LineWriter& lines);
template <class Format>
class FormattedSink {
 public:
  FormattedSink(std::string path, FileSinkOptions options, Format format)
      : path_(std::move(path)), options_(options), format_(std::move(format)) {}

  class Writer {
   public:
    Writer(LineWriter lines, Format format)
        : lines_(std::move(lines)), format_(std::move(format)) {}

    template <class D>
    absl::Status Write(const D& record) {
      HEADWAY_RETURN_IF_ERROR(format_.Append(record, lines_));
      return lines_.EndLine();
    }
    absl::StatusOr<FlushState> Flush() { return lines_.Flush(); }
    std::string Snapshot() const { return lines_.Snapshot(); }

   private:
    LineWriter lines_;
    Format format_;
  };

  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string&,
                                       std::optional<std::string> position) {
    HEADWAY_RETURN_IF_ERROR(format_.CheckOptions());
    if (syncer_ == nullptr) syncer_ = std::make_shared<FileSyncer>();
    absl::StatusOr<LineWriter> lines =
        LineWriter::Open(path_, context, options_, position, syncer_);
    if (!lines.ok()) return lines.status();
    return Writer(*std::move(lines), format_);
  }

 private:
  std::string path_;
  FileSinkOptions options_;
  Format format_;
  std::shared_ptr<FileSyncer> syncer_;  // of an open sink
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_FORMATTED_SINK_H_
