#ifndef HEADWAY_OPERATORS_IO_CSV_FILE_H_
#define HEADWAY_OPERATORS_IO_CSV_FILE_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/graph/scope.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/source.h"
#include "operators/io/bad_lines.h"
#include "operators/io/columns.h"
#include "operators/io/csv_reader.h"
#include "operators/io/csv_row.h"
#include "operators/io/parsed_source.h"

namespace headway {

struct CsvOptions {
  // No quote, no line end and no NUL.
  char delimiter = ',';
  // The names of the columns of files that have no header. Empty: the first row is the header.
  std::vector<std::string> columns = {};
  // Whether fields may have line ends, in quotes. If not, the workers share each file by bytes, as
  // FileLines does. If yes, one worker reads a file: the middle of a file does not show whether it
  // is within quotes.
  bool newlines_in_fields = true;
  // Of rows with another number of fields than columns, with malformed quotes, with a NUL byte, or
  // with a field that has no value of its member's type.
  BadLines bad_lines = BadLines::kFail;
  // Of a file that a run reads no more when it resumes.
  VanishedPartitions vanished = VanishedPartitions::kFail;
};

namespace internal {

struct ReadsColumns {};  // in place of the function, if a CsvFile has none

template <class D, class F>
class CsvFormat {
 public:
  using Record = D;
  static constexpr std::string_view kTooLong =
      "the row that begins here is longer than 64 MiB; probably a quote is not closed";

  CsvFormat(const CsvOptions& options, F f)
      : reader_(options.delimiter, options.newlines_in_fields, options.columns),
        delimiter_(options.delimiter),
        newlines_in_fields_(options.newlines_in_fields),
        f_(std::move(f)) {}

  absl::Status CheckOptions() const {
    return CheckCsvDelimiter(delimiter_, "CsvOptions::delimiter");
  }
  FileDivision division() const {
    return newlines_in_fields_ ? FileDivision::kWhole : FileDivision::kStripes;
  }
  absl::Status BeginStripe(LineReader& lines) {
    HEADWAY_RETURN_IF_ERROR(reader_.BeginStripe(lines));
    const absl::Status found = FindColumns();
    if (found.ok()) return found;
    return absl::Status(found.code(), absl::StrCat("'", lines.path(), "': ", found.message()));
  }
  absl::StatusOr<LineReader::Found> Next(LineReader& lines, std::string_view* line) {
    return reader_.Next(lines, line);
  }
  template <class Emit>
  absl::Status Parse(LineReader& lines, std::string_view line, Emit&& emit) {
    const absl::StatusOr<bool> divided = reader_.Divide(lines, line);
    if (!divided.ok()) return divided.status();
    if (found_in_ != reader_.columns().get()) [[unlikely]] {
      const absl::Status found = FindColumns();  // of the header of a pipe
      has_failed_ = !found.ok();
      if (has_failed_) return found;
    }
    if (!*divided) return absl::OkStatus();
    if constexpr (kIsTyped) {
      return EmitTyped(emit);
    } else if constexpr (std::is_same_v<F, ReadsColumns>) {
      CsvRow row;
      row.Assign(reader_.columns(), reader_.row());
      emit(std::move(row));
      return absl::OkStatus();
    } else {
      row_.Assign(reader_.columns(), reader_.row());
      return EmitParsed<D>(f_, row_, emit);
    }
  }
  bool has_failed() const { return has_failed_ || reader_.header_failed(); }

 private:
  static constexpr bool kIsTyped = std::is_same_v<F, ReadsColumns> && !std::is_same_v<D, CsvRow>;
  static constexpr size_t CountColumns() {
    if constexpr (kIsTyped) {
      return ColumnsOf<D>().kCount;
    } else {
      return 0;
    }
  }

  absl::Status FindColumns() {
    found_in_ = reader_.columns().get();
    if (reader_.columns()->empty()) return absl::OkStatus();  // the file has no rows yet
    if constexpr (kIsTyped) {
      for (size_t i = 0; i < indices_.size(); ++i) {
        const absl::StatusOr<size_t> index = reader_.FindColumn(ColumnsOf<D>().names[i]);
        if (!index.ok()) return index.status();
        indices_[i] = *index;
      }
    }
    return absl::OkStatus();
  }

  template <class Emit>
  absl::Status EmitTyped(Emit& emit) {
    D record{};
    absl::Status status;
    size_t column = 0;
    ColumnsOf<D>().ForEach(record, [&]<class Member>(std::string_view name, Member& member) {
      const CsvSlice& field = reader_.row().fields()[indices_[column++]];
      const std::string_view text = reader_.row().TextOf(field, buffer_);
      static_assert(HasTextValue<Member>(),
                    "CsvFile: each member in HEADWAY_COLUMNS must be a number, a bool, a string or "
                    "a std::optional of these, or have a function bool FromText(std::string_view, "
                    "Type&) beside it");
      if (!TextToValue(text, member) && status.ok()) {
        status = TextValueError(name, text, DescribeValue<Member>());
      }
    });
    if (status.ok()) emit(std::move(record));
    return status;
  }

  CsvReader reader_;
  char delimiter_;
  bool newlines_in_fields_;
  F f_;
  bool has_failed_ = false;
  const std::vector<std::string>* found_in_ = nullptr;
  std::array<size_t, CountColumns()> indices_{};  // of the members' columns
  CsvRow row_;                                    // for f_
  std::string buffer_;                            // for a field with doubled quotes
};

}  // namespace internal

// The rows of CSV files (RFC 4180), in three forms:
//
//   scope.Input("trades", CsvFile<Trade>("trades.csv"))   // Stream<Trade>
//   scope.Input("trades", CsvFile("trades.csv"))          // Stream<CsvRow>
//   scope.Input("trades", CsvFile("trades.csv", [](const CsvRow& row) -> absl::StatusOr<Trade> {
//     Trade trade;
//     HEADWAY_RETURN_IF_ERROR(row["Price (USD)"].Read(trade.price));
//     ...
//   }))
//
// In the first, HEADWAY_COLUMNS(Trade, ...) (columns.h) names the members that are columns; other
// columns of a file are ignored, in any order. In the last, the function returns a record or an
// absl::StatusOr of one, an error of which makes the row bad; an exception ends the run with an
// error that names the step. The row is valid in the call.
//
// A field in quotes may have delimiters, line ends and doubled quotes. Rows end with "\n" or
// "\r\n". Empty lines and a byte order mark are ignored. Bytes are not interpreted (any encoding
// that contains ASCII). A row has at most 64 MiB: a quote that is not closed is found there.
//
// One worker reads a file, unless CsvOptions::newlines_in_fields is false. Files of gzip and zstd
// are decompressed. A run that resumes continues behind the last row, as FileLines does:
// partitions, positions, files that grow and files without a size are as there. Keeps no state
// besides these. At the end of the input nothing else is emitted, and at a graceful stop a row is
// read whole or not at all.
//
// Errors name the file and the line. InvalidArgument: a row is bad (CsvOptions::bad_lines decides;
// see also WithBadLines) or too long, the header lacks a column or has it twice. Others are those
// of FileLines.
//
// The cost is that of looking at each byte once; a CsvRow costs two allocations, a struct none.
template <class Record = CsvRow, class F = internal::ReadsColumns>
class CsvFile {
  using Format = internal::CsvFormat<Record, F>;
  static constexpr bool kHasFunction = !std::is_same_v<F, internal::ReadsColumns>;
  static constexpr bool kHasRecord =
      kHasFunction || std::is_same_v<Record, CsvRow> || internal::HasColumns<Record>;
  static_assert(kHasRecord,
                "CsvFile: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, or "
                "give CsvFile a function of const CsvRow&");
  static_assert(!internal::HasViewColumn<Record>(),
                "CsvFile: the members of the record must own their text: std::string, not "
                "std::string_view");

 public:
  explicit CsvFile(InputPaths paths, CsvOptions options = {})
    requires(!kHasFunction)
      : paths_(std::move(paths)), options_(std::move(options)) {}
  CsvFile(InputPaths paths, F f, CsvOptions options = {})
    requires(kHasFunction)
      : paths_(std::move(paths)), f_(std::move(f)), options_(std::move(options)) {}

  // Scope::Input and WithBadLines call them.
  auto AddTo(Scope<>& scope, std::string_view step_id) const { return Add<false>(scope, step_id); }
  auto AddWithBadLinesTo(Scope<>& scope, std::string_view step_id) const {
    return Add<true>(scope, step_id);
  }

 private:
  template <bool keeps_bad_lines>
  auto Add(Scope<>& scope, std::string_view step_id) const {
    return scope.Input(step_id, internal::ParsedSource<Format, keeps_bad_lines>(
                                    paths_.paths(), Format(options_, f_),
                                    {options_.bad_lines, options_.vanished}));
  }

  InputPaths paths_;
  F f_;
  CsvOptions options_;
};

CsvFile(InputPaths) -> CsvFile<CsvRow>;
CsvFile(InputPaths, CsvOptions) -> CsvFile<CsvRow>;
template <class F>
  requires std::invocable<F&, const CsvRow&>
CsvFile(InputPaths, F) -> CsvFile<internal::ParsedRecordOf<F, const CsvRow&>, F>;
template <class F>
  requires std::invocable<F&, const CsvRow&>
CsvFile(InputPaths, F, CsvOptions) -> CsvFile<internal::ParsedRecordOf<F, const CsvRow&>, F>;

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CSV_FILE_H_
