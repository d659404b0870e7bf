#ifndef HEADWAY_OPERATORS_IO_CSV_SINK_H_
#define HEADWAY_OPERATORS_IO_CSV_SINK_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "comm/codec/shapes.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/columns.h"
#include "operators/io/csv_parser.h"
#include "operators/io/csv_row.h"
#include "operators/io/formatted_sink.h"
#include "operators/record_text.h"

namespace headway {

struct CsvSinkOptions {
  ExistingFile existing = ExistingFile::kRefuse;
  // No quote, no line end and no NUL.
  char delimiter = ',';
  // The header. Empty: the names of HEADWAY_COLUMNS or of a CsvRow; other records have no header.
  std::vector<std::string> columns = {};
};

namespace internal {

template <class T>
constexpr bool IsCsvRecord() {
  return HasColumns<T> || std::is_same_v<T, CsvRow> || IsPrintable<T>();
}

// Makes rows of CSV.
class CsvRows {
 public:
  explicit CsvRows(char delimiter, std::vector<std::string> columns)
      : delimiter_(delimiter), columns_(std::move(columns)) {}

  absl::Status CheckOptions() const {
    return CheckCsvDelimiter(delimiter_, "CsvSinkOptions::delimiter");
  }
  template <class D>
  absl::Status Append(const D& record, LineWriter& lines) {
    constexpr bool kHasFields = IsCsvRecord<D>();
    static_assert(kHasFields,
                  "CsvSink: the record must be a struct with HEADWAY_COLUMNS, a CsvRow, a tuple, a "
                  "pair or a vector, or a value that can be printed (record_text.h)");
    if constexpr (kHasFields) {
      if (lines.is_at_beginning()) HEADWAY_RETURN_IF_ERROR(AppendHeader(record, lines));
      BeginRow(lines.text());
      AppendFields(record);
      return EndRow();
    }
    return absl::OkStatus();
  }

 private:
  template <class D>
  absl::Status AppendHeader(const D& record, LineWriter& lines) {
    BeginRow(lines.text());
    if (!columns_.empty()) {
      for (const std::string& column : columns_) AppendField(column);
    } else if constexpr (HasColumns<D>) {
      for (const std::string_view column : ColumnsOf<D>().names) AppendField(column);
    } else if constexpr (std::is_same_v<D, CsvRow>) {
      for (const std::string& column : record.columns()) AppendField(column);
    } else {
      return absl::OkStatus();
    }
    HEADWAY_RETURN_IF_ERROR(EndRow());
    return lines.EndLine();
  }

  void BeginRow(std::string& text) {
    text_ = &text;
    row_begin_ = text.size();
    count_ = 0;
  }
  absl::Status EndRow() {
    if (!columns_.empty() && count_ != columns_.size()) {
      return absl::InvalidArgumentError(absl::StrCat("CsvSink: a record has ", count_,
                                                     " fields, but there are ", columns_.size(),
                                                     " columns"));
    }
    // An empty line would be no row.
    if (text_->size() == row_begin_) text_->append("\"\"");
    return absl::OkStatus();
  }

  template <class D>
  void AppendFields(const D& record) {
    if constexpr (HasColumns<D>) {
      ColumnsOf<D>().ForEach(record,
                             [this](std::string_view, const auto& field) { AppendField(field); });
    } else if constexpr (std::is_same_v<D, CsvRow>) {
      for (size_t i = 0; i < record.size(); ++i) AppendField(record[i].text());
    } else if constexpr (HasToString<D> || TextLike<D>) {
      AppendField(record);
    } else if constexpr (PairLike<D>) {
      AppendField(record.first);
      AppendField(record.second);
    } else if constexpr (TupleLike<D> && !ArrayLike<D>) {
      std::apply([this](const auto&... fields) { (AppendField(fields), ...); }, record);
    } else if constexpr (RangeLike<D> && !MapLike<D>) {
      for (const auto& field : record) AppendField(field);
    } else {
      AppendField(record);
    }
  }

  template <class T>
  void AppendField(const T& value) {
    if (count_++ > 0) text_->push_back(delimiter_);
    AppendValue(value);
  }
  template <class T>
  void AppendValue(const T& value) {
    if constexpr (TextLike<T>) {
      AppendCsvField(*text_, std::string_view(value), delimiter_);
    } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, char>) {
      AppendText(*text_, value);
    } else if constexpr (OptionalLike<T>) {
      if (value.has_value()) AppendValue(*value);
    } else {
      field_.clear();
      AppendText(field_, value);
      AppendCsvField(*text_, field_, delimiter_);
    }
  }

  char delimiter_;
  std::vector<std::string> columns_;
  std::string* text_ = nullptr;  // that has the present row
  size_t row_begin_ = 0;
  size_t count_ = 0;   // fields of the row
  std::string field_;  // the text of one
};

}  // namespace internal

// Writes each record as a row of CSV to a file:
//
//   trades | Output("out", CsvSink("trades.csv"));
//
// The fields of a row are those of a struct with HEADWAY_COLUMNS or of a CsvRow, or the elements of
// a tuple, pair or vector; any other record is one field. A field's text is that of record_text.h,
// and nothing for an empty std::optional. It has quotes if it has a delimiter, a quote or a line
// end in it. Rows end with "\n".
//
// The header comes before the first record, if the file is empty then: once, also if the run
// resumes, and not if a file that is continued (ExistingFile::kAppend) has rows.
//
// The rest is as in FileSink: worker 0 writes the file, the ends of epochs are durable if the run
// has a recovery store, and a run that resumes cuts the file back to the last commit. Errors are
// those of FileSink. InvalidArgument: a record has not as many fields as CsvSinkOptions::columns.
class CsvSink : public internal::FormattedSink<internal::CsvRows> {
 public:
  explicit CsvSink(std::string path, CsvSinkOptions options = {})
      : FormattedSink(std::move(path), {.existing = options.existing},
                      internal::CsvRows(options.delimiter, std::move(options.columns))) {}
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CSV_SINK_H_
