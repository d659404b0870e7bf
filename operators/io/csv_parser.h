#ifndef HEADWAY_OPERATORS_IO_CSV_PARSER_H_
#define HEADWAY_OPERATORS_IO_CSV_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace headway::internal {

// The text of a field in that of its row, without the quotes around it.
struct CsvSlice {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool has_escapes = false;  // doubled quotes
};

// Divides rows of CSV into fields, by RFC 4180: a field in quotes may have delimiters, line ends
// and doubled quotes; a row ends with "\n" or "\r\n". Stricter than most programs: a quote within a
// field without quotes, text behind a closing quote, a carriage return without a line feed and a
// NUL byte are malformed.
//
// Searches vectors of 16 bytes for the few bytes that have a meaning. libcsv, the library for CSV
// in Debian 12, copies each byte, and does not say where a row ends. A position needs that.
class CsvParser {
 public:
  explicit CsvParser(char delimiter) : delimiter_(delimiter) {}

  // Finds the line feed that ends the row at `bytes`, as LineReader::Next wants it. Returns null if
  // it is not in the `size` bytes. 16 bytes behind them may be read.
  const char* FindEnd(const char* bytes, size_t searched, size_t size);
  // Ends the row: `row` is its text without a line end. Returns null, or why the row is malformed.
  // REQUIRES: FindEnd has found its end, or none in all bytes that there are.
  const char* Finish(std::string_view row);

  // The fields of the row that was finished, in order, valid as long as its text.
  const std::vector<CsvSlice>& fields() const { return fields_; }
  std::string_view row() const { return row_; }
  // The text of a field, in `buffer` if it has doubled quotes.
  std::string_view TextOf(const CsvSlice& field, std::string& buffer) const;

 private:
  enum class State {
    kFieldStart,
    kPlain,      // in a field without quotes
    kQuoted,     // between quotes
    kQuoteSeen,  // behind a quote in a field with quotes
    kMalformed,
  };

  void Begin();
  size_t FindSpecial(const char* bytes, size_t at, size_t size) const;
  // Continues at at_ in that state. Returns false if it needs bytes behind `size`.
  bool ContinuePlain(const char* bytes, size_t size);
  bool ContinueBehindQuote(const char* bytes, size_t size);
  // At a '\r', which must end the row.
  bool PassCarriageReturn(const char* bytes, size_t size);
  void EndField(size_t end) {
    field_.end = static_cast<uint32_t>(end);
    fields_.push_back(field_);
    state_ = State::kFieldStart;
  }
  void Fail(const char* why) {
    error_ = why;
    state_ = State::kMalformed;
  }

  char delimiter_;
  State state_ = State::kFieldStart;
  size_t at_ = 0;  // bytes of the row that were looked at
  CsvSlice field_;
  std::vector<CsvSlice> fields_;
  const char* error_ = nullptr;
  std::string_view row_;
};

// InvalidArgument, which names the option: the delimiter is a quote, a line end or NUL.
absl::Status CheckCsvDelimiter(char delimiter, std::string_view option);

// Appends `text` to a row, with quotes if it needs them.
void AppendCsvField(std::string& row, std::string_view text, char delimiter);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_CSV_PARSER_H_
