#ifndef HEADWAY_OPERATORS_IO_DIRECTORY_SINK_H_
#define HEADWAY_OPERATORS_IO_DIRECTORY_SINK_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/step/sink.h"
#include "operators/io/file_syncer.h"
#include "operators/io/line_writer.h"

namespace headway {

// Writes each record on a line of its own to one of the files of a directory, as FileSink does.
// `partition_of(record)` is the name of the file, as a std::string or std::string_view:
//
//   orders | Output("out", DirectorySink("orders", [](const Order& order) { return order.day; }));
//
// All workers write, and each file has one writer: all processes must see the same directory. It
// must exist. A file is created with its first record, and stays open until the run ends.
//
// Errors are those of FileSink. InvalidArgument: a name is empty, "." or "..", or has a '/'.
template <class F>
class DirectorySink {
 public:
  using Writer = internal::LineWriter;

  DirectorySink(std::string directory, F partition_of, FileSinkOptions options = {})
      : directory_(std::move(directory)),
        partition_of_(std::move(partition_of)),
        options_(options) {}

  template <class Record>
  decltype(auto) PartitionOf(const Record& record) const {
    constexpr bool kNames =
        std::is_convertible_v<std::invoke_result_t<const F&, const Record&>, std::string_view>;
    static_assert(kNames,
                  "DirectorySink: the function must return the name of a record's file, as a "
                  "std::string or std::string_view");
    return partition_of_(record);
  }

  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string& partition,
                                       std::optional<std::string> position) {
    if (syncer_ == nullptr) syncer_ = std::make_shared<internal::FileSyncer>();
    return Writer::OpenNamed(directory_, partition, context, options_, position, syncer_);
  }

 private:
  std::string directory_;
  F partition_of_;
  FileSinkOptions options_;
  std::shared_ptr<internal::FileSyncer> syncer_;  // of an open sink
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_DIRECTORY_SINK_H_
