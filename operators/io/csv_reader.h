#ifndef HEADWAY_OPERATORS_IO_CSV_READER_H_
#define HEADWAY_OPERATORS_IO_CSV_READER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operators/io/csv_parser.h"
#include "operators/io/csv_row.h"
#include "operators/io/line_reader.h"

namespace headway::internal {

// Divides the lines of CSV files into the fields of rows, with the columns of their headers.
class CsvReader {
 public:
  // `columns` are those of files without a header; empty: files have a header.
  CsvReader(char delimiter, bool newlines_in_fields, const std::vector<std::string>& columns);

  // Reads the header of the file, unless it is a pipe: then the first row is it.
  absl::Status BeginStripe(LineReader& lines);
  // Sets `line` to the next row.
  absl::StatusOr<LineReader::Found> Next(LineReader& lines, std::string_view* line);
  // Divides the row `line` of Next. Returns false if it is no record: an empty line, or the header.
  absl::StatusOr<bool> Divide(LineReader& lines, std::string_view line);

  // Whether the error of Divide is that of the header of a pipe: its rows have no columns then.
  bool header_failed() const { return header_failed_; }

  // The columns of the present file, and the fields of the row: as many.
  const CsvRow::Columns& columns() const { return columns_; }
  const CsvParser& row() const { return parser_; }
  // The index of the column; an error says which there are.
  absl::StatusOr<size_t> FindColumn(std::string_view name) const;

 private:
  const char* FindEnd(const char* bytes, size_t searched, size_t size, bool at_beginning);
  absl::Status TakeHeader();
  static std::string_view WithoutMark(std::string_view line, bool at_beginning);

  CsvParser parser_;
  bool newlines_in_fields_;
  bool has_header_;
  bool wants_header_ = false;  // the next row is it
  bool header_failed_ = false;
  int64_t header_begin_ = -1;
  std::string path_;  // of the file with these columns
  CsvRow::Columns columns_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_CSV_READER_H_
