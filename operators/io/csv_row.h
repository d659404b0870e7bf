#ifndef HEADWAY_OPERATORS_IO_CSV_ROW_H_
#define HEADWAY_OPERATORS_IO_CSV_ROW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "comm/codec/codec.h"
#include "operators/io/csv_parser.h"
#include "operators/io/text_value.h"

namespace headway {

// A field of a CsvRow, valid as long as the row.
class CsvField {
 public:
  CsvField(std::string_view column, std::string_view text) : column_(column), text_(text) {}

  // The text between the quotes, if it has them.
  std::string_view text() const { return text_; }
  // The name of the column.
  std::string_view column() const { return column_; }

  // Sets `value` to that of the text; text_value.h lists the types. A std::string_view is valid as
  // long as the row. Returns InvalidArgument, which names the column, if the text has no such
  // value.
  template <class T>
  absl::Status Read(T& value) const {
    constexpr bool kReads = internal::HasTextValue<T>();
    static_assert(kReads,
                  "CsvField::Read: the value must be a number, a bool, a string or a std::optional "
                  "of these, or have a function bool FromText(std::string_view, Type&) beside it");
    if constexpr (kReads) {
      if (!internal::TextToValue(text_, value)) {
        return internal::TextValueError(column_, text_, internal::DescribeValue<T>());
      }
    }
    return absl::OkStatus();
  }

 private:
  std::string_view column_;
  std::string_view text_;
};

// A row of a CSV file, with the names of its columns, which the rows of a file share.
class CsvRow {
 public:
  using Columns = std::shared_ptr<const std::vector<std::string>>;

  CsvRow() = default;
  // As many fields as columns.
  CsvRow(Columns columns, const std::vector<std::string>& fields);

  size_t size() const { return fields_.size(); }
  const std::vector<std::string>& columns() const { return *columns_; }

  // Throws std::out_of_range if there is no such column, or several with that name.
  CsvField operator[](size_t index) const;
  CsvField operator[](std::string_view column) const;

  // For the source: takes the fields of the parser's row.
  void Assign(const Columns& columns, const internal::CsvParser& row);

 private:
  friend struct Codec<CsvRow>;

  std::string_view TextOf(size_t index) const;

  Columns columns_ = std::make_shared<const std::vector<std::string>>();
  std::string text_;
  std::vector<internal::CsvSlice> fields_;  // of text_
};

// The row as a line of CSV, without a line end.
std::string ToString(const CsvRow& row);

// A row is sent with the names of its columns: prefer records of a type of yours in an exchange.
template <>
struct Codec<CsvRow> {
  static void Encode(const CsvRow& row, Encoder& encoder);
  static bool Decode(Decoder& decoder, CsvRow* row);
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CSV_ROW_H_
