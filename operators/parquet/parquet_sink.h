#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_SINK_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_SINK_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/sink.h"
#include "operators/io/columns.h"
#include "operators/parquet/parquet_buffer.h"
#include "operators/parquet/parquet_folder.h"
#include "operators/parquet/parquet_lane.h"
#include "operators/parquet/parquet_paths.h"
#include "operators/parquet/parquet_thread.h"
#include "operators/parquet/parquet_type.h"
#include "operators/record_text.h"

namespace headway {

// Divides the files of a ParquetSink into directories `column=value` by these columns, in this
// order. The files do not have them: readers take them from the path. A column is a bool, a number,
// a string or a std::optional of these.
struct ParquetDirectories {
  std::vector<std::string> columns;
};

namespace internal {

// All rows are in one lane.
struct OneParquetFolder {};

// The lane of a row is the path of its directories.
template <class Row>
class ParquetDirectoryOf {
 public:
  explicit ParquetDirectoryOf(std::vector<std::string> columns) : columns_(std::move(columns)) {}

  const std::vector<std::string>& columns() const { return columns_; }

  std::string operator()(const Row& row) const {
    std::string path;
    for (const std::string& column : columns_) {
      ColumnsOf<Row>().ForEach(row, [&](std::string_view name, const auto& member) {
        if (name != column) return;
        if (!path.empty()) path.push_back('/');
        path += PathOfColumn(column, TextOf(member));
      });
    }
    return path;
  }

 private:
  template <class T>
  static std::optional<std::string> TextOf(const T& member) {
    std::string text;
    if constexpr (OptionalLike<T>) {
      return member.has_value() ? TextOf(*member) : std::nullopt;
    } else if constexpr (std::is_same_v<T, bool>) {
      text = member ? "true" : "false";
    } else if constexpr (std::is_same_v<T, int8_t> || std::is_same_v<T, uint8_t>) {
      text = std::to_string(member);
    } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      AppendText(text, member);
    }
    return text;
  }

  std::vector<std::string> columns_;
};

template <class Row, class Partition>
class ParquetSinkOf {
  static_assert(IsColumnRecord<ParquetTypes, Row>(),
                "ParquetSink: the row must be a struct with HEADWAY_COLUMNS(Type, members...) "
                "behind it, whose members have types of parquet_type.h");
  static constexpr bool kHasFolders = !std::is_same_v<Partition, OneParquetFolder>;
  static constexpr size_t kColumns = ColumnsOf<Row>().kCount;

 public:
  class Lane {
   public:
    Lane(std::unique_ptr<ParquetLane> lane, uint64_t fingerprint)
        : lane_(std::move(lane)), fingerprint_(fingerprint) {}

    absl::Status Write(const Row& row, Outbox& outbox) {
      HEADWAY_RETURN_IF_ERROR(CheckText(row));
      encoder_.Clear();
      Codec<uint64_t>::Encode(fingerprint_, encoder_);
      Codec<Row>::Encode(row, encoder_);
      const std::span<const std::byte> bytes = encoder_.bytes();
      outbox.Add({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      return absl::OkStatus();
    }
    absl::StatusOr<std::optional<uint64_t>> LastMark() { return lane_->last_mark(); }
    absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
      return lane_->Publish(transaction);
    }
    absl::Duration WaitForMore(const Transaction&) { return lane_->WaitForMore(); }

   private:
    static absl::Status CheckText(const Row& row) {
      std::string bad;
      ColumnsOf<Row>().ForEach(row, [&](std::string_view name, const auto& member) {
        if (!IsUtf8Throughout(member)) bad = name;
      });
      if (bad.empty()) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(
          "ParquetSink: the column '", bad,
          "' has a string that is not UTF-8; change or encode the string in a step before"));
    }

    std::unique_ptr<ParquetLane> lane_;
    uint64_t fingerprint_;  // of the columns, at the head of each item
    Encoder encoder_;
  };

  ParquetSinkOf(std::string directory, Partition partition_of, ParquetSinkOptions options)
      : directory_(std::move(directory)),
        partition_of_(std::move(partition_of)),
        options_(options) {}

  std::string LaneOf(const Row& row) const
    requires(kHasFolders)
  {
    return std::string(partition_of_(row));
  }

  absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& lane) {
    RequireCodec<Row>();
    std::vector<ParquetField> fields;
    std::array<bool, kColumns> is_written{};
    HEADWAY_RETURN_IF_ERROR(SelectColumns(fields, is_written));
    absl::StatusOr<ParquetFolder> folder =
        ParquetFolder::Open(directory_, kHasFolders ? lane : std::string(), context);
    if (!folder.ok()) return folder.status();
    if (thread_ == nullptr) thread_ = std::make_shared<ParquetThread>();
    std::string description;
    AppendDescription(ColumnFieldsOf<ParquetTypes, Row>(), description);
    for (const bool written : is_written) description.push_back(written ? 'w' : 'd');
    const uint64_t fingerprint = HashBytes(description.data(), description.size());
    const auto append = [is_written, fingerprint](std::string_view item,
                                                  std::vector<ParquetBuffer>& columns) {
      Decoder decoder(std::as_bytes(std::span(item)));
      uint64_t of_item = 0;
      Row row{};
      if (!Codec<uint64_t>::Decode(decoder, &of_item) || of_item != fingerprint ||
          !Codec<Row>::Decode(decoder, &row) || decoder.remaining() != 0) {
        return false;
      }
      size_t index = 0;
      size_t written = 0;
      ColumnsOf<Row>().ForEach(row, [&](std::string_view, const auto& member) {
        if (is_written[index++]) AppendParquetValue(columns[written++], member);
      });
      return true;
    };
    return Lane(std::make_unique<ParquetLane>(*std::move(folder), std::move(fields), options_,
                                              append, thread_, context),
                fingerprint);
  }

 private:
  // The columns that the files have.
  absl::Status SelectColumns(std::vector<ParquetField>& fields,
                             std::array<bool, kColumns>& is_written) const {
    if (options_.rows_per_group <= 0) {
      return absl::InvalidArgumentError("ParquetSinkOptions::rows_per_group must be positive");
    }
    if (options_.file_interval < absl::ZeroDuration()) {
      return absl::InvalidArgumentError("ParquetSinkOptions::file_interval must not be negative");
    }
    is_written.fill(true);
    std::vector<ParquetField> all = ColumnFieldsOf<ParquetTypes, Row>();
    if constexpr (std::is_same_v<Partition, ParquetDirectoryOf<Row>>) {
      for (const std::string& column : partition_of_.columns()) {
        const auto found = std::find_if(all.begin(), all.end(), [&](const ParquetField& field) {
          return field.name == column && field.kind <= ParquetKind::kString;
        });
        if (found == all.end()) {
          return absl::InvalidArgumentError(
              absl::StrCat("ParquetDirectories: the row has no column '", column,
                           "' that is a bool, a number or a string"));
        }
        is_written[static_cast<size_t>(found - all.begin())] = false;
      }
    }
    for (size_t i = 0; i < kColumns; ++i) {
      if (is_written[i]) fields.push_back(std::move(all[i]));
    }
    if (!fields.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError("ParquetDirectories: the files would have no column");
  }

  std::string directory_;
  Partition partition_of_;
  ParquetSinkOptions options_;
  std::shared_ptr<ParquetThread> thread_;  // of an open sink
};

}  // namespace internal

// Writes rows to files of Parquet in a directory, which must exist: each row once, as a
// transactional sink (transactional_sink.h). HEADWAY_COLUMNS(Row, ...) names the columns;
// parquet_type.h lists the types. Row needs a codec (comm/codec/codec.h).
//
//   trades | Output("out", ParquetSink<Trade>("trades"))
//   trades | Output("out", ParquetSink<Trade>("trades", ParquetDirectories{{"day", "symbol"}}))
//   trades | Output("out", ParquetSink<Trade>("trades", [](const Trade& trade) {
//              return absl::StrCat("hour=", trade.hour);
//            }))
//
// In the first form worker 0 writes all rows. The others divide the rows into directories, by
// columns, or by partition_of(row), the path of a directory within `directory`. A directory is a
// lane: one worker writes its files. The rows keep all columns if a function divides them.
//
// A file has the rows of an epoch, or of several that were committed meanwhile. It appears as a
// whole, when its epoch is committed, with the name `part-<step>-<store>-<epoch>.parquet`. So files
// are as large as epochs: for larger ones let commits share a file
// (ParquetSinkOptions::file_interval), and prefer few directories. Rows are kept in memory and in
// the recovery store until then.
// Without a recovery store a file is written when its epoch ends; rows of an epoch that did not end
// are lost with the run. At the end of the input, and of a graceful stop, all rows are published.
//
// Readers must ignore names that begin with '.', as they do: a hidden folder has unfinished files
// and the mark of the last commit (parquet_folder.h). It must stay in the directory; the files may
// be moved away. Files are written, and made durable, on a thread of each worker.
//
// Errors, as statuses that end the run: those of the file system, with the path. InvalidArgument:
// partition_of returned no path of a directory, or a string is not UTF-8. Aborted: a later
// generation of the run has taken over, or the store is an older copy. FailedPrecondition: the
// store has rows of a program with other columns. An exception of partition_of ends the run with an
// error that names the step.
template <class Row>
auto ParquetSink(std::string directory, ParquetSinkOptions options = {}) {
  return internal::ParquetSinkOf<Row, internal::OneParquetFolder>(std::move(directory), {},
                                                                  options);
}
template <class Row>
auto ParquetSink(std::string directory, ParquetDirectories directories,
                 ParquetSinkOptions options = {}) {
  using Partition = internal::ParquetDirectoryOf<Row>;
  return internal::ParquetSinkOf<Row, Partition>(
      std::move(directory), Partition(std::move(directories.columns)), options);
}
template <class Row, class F>
  requires(!std::is_same_v<F, ParquetSinkOptions> && !std::is_same_v<F, ParquetDirectories>)
auto ParquetSink(std::string directory, F partition_of, ParquetSinkOptions options = {}) {
  constexpr bool kNames = std::is_invocable_r_v<std::string, const F&, const Row&>;
  static_assert(kNames,
                "ParquetSink: the function must take const Row& and return the path of a "
                "directory, as a std::string");
  return internal::ParquetSinkOf<Row, F>(std::move(directory), std::move(partition_of), options);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_SINK_H_
