#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_COLUMN_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_COLUMN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/shapes.h"
#include "operators/io/columns.h"
#include "operators/io/text_value.h"
#include "operators/parquet/parquet_type.h"

namespace headway::internal {

// A decoded column of a batch of rows: views of the memory that has it. Numbers have the type of
// their member here, whatever they have in the file.
struct ParquetColumn {
  const ParquetField* field = nullptr;
  bool is_missing = false;               // each value is null
  std::optional<std::string> text = {};  // each value is this one, of a directory `key=value`
  const uint8_t* validity = nullptr;     // a bit for each value, 0 if it is null; null: no nulls
  int64_t bit_offset = 0;                // of the first value in bitmaps
  const void* values = nullptr;          // numbers, characters, or a bitmap of bools
  const int32_t* offsets = nullptr;      // of strings, and of the elements of lists
  const int32_t* indices = nullptr;      // of a string among those of a dictionary, or null
  std::vector<ParquetColumn> children = {};

  bool IsNull(int64_t row) const {
    return is_missing || (validity != nullptr && !BitOf(validity, row));
  }
  bool BitOf(const uint8_t* bits, int64_t row) const {
    const auto bit = static_cast<uint64_t>(bit_offset + row);
    return ((bits[bit / 8] >> (bit % 8)) & 1) != 0;
  }
  template <class T>
  T NumberAt(int64_t row) const {
    return static_cast<const T*>(values)[row];
  }
  std::string_view StringAt(int64_t row) const {
    if (indices != nullptr) row = indices[row];
    return {static_cast<const char*>(values) + offsets[row],
            static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
};

// Sets `value` to that of a row. Returns nullptr, or the column whose value is null although its
// member is not optional, or is text that its member cannot have.
template <class T>
const ParquetColumn* ReadParquetValue(const ParquetColumn& column, int64_t row, T& value);

template <class T, auto... members>
const ParquetColumn* ReadParquetStruct(const ColumnList<members...>&, const ParquetColumn& column,
                                       int64_t row, T& value) {
  const ParquetColumn* bad = nullptr;
  size_t index = 0;
  const bool read =
      (((bad = ReadParquetValue(column.children[index++], row, value.*members)) == nullptr) && ...);
  return read ? nullptr : bad;
}

template <class T>
const ParquetColumn* ReadParquetValue(const ParquetColumn& column, int64_t row, T& value) {
  if constexpr (OptionalLike<T>) {
    value.reset();
    return column.IsNull(row) ? nullptr : ReadParquetValue(column, row, value.emplace());
  } else {
    if (column.IsNull(row)) return &column;
    if constexpr (HasTextValue<T>()) {
      if (column.text.has_value()) return TextToValue(*column.text, value) ? nullptr : &column;
    }
    if constexpr (std::is_same_v<T, bool>) {
      value = column.BitOf(static_cast<const uint8_t*>(column.values), row);
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = column.NumberAt<T>(row);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = column.StringAt(row);
    } else if constexpr (ColumnTime<T>) {
      using Stored =
          std::conditional_t<ParquetTypes::KindOf<T>() == ParquetKind::kDate, int32_t, int64_t>;
      value = T(typename T::duration(static_cast<typename T::rep>(column.NumberAt<Stored>(row))));
    } else if constexpr (HasColumns<T>) {
      return ReadParquetStruct(ColumnsOf<T>(), column, row, value);
    } else {
      value.clear();
      for (int64_t i = column.offsets[row]; i < column.offsets[row + 1]; ++i) {
        typename T::value_type element{};
        const ParquetColumn* const bad = ReadParquetValue(column.children[0], i, element);
        if (bad != nullptr) return bad;
        value.push_back(std::move(element));
      }
    }
    return nullptr;
  }
}

// Sets a member of each of the rows.
template <auto member, class Row>
const ParquetColumn* ReadParquetMember(const ParquetColumn& column, int64_t begin,
                                       std::span<Row> rows) {
  using T = std::remove_cvref_t<decltype(rows[0].*member)>;
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    if (column.values != nullptr && column.validity == nullptr) {
      const T* const values = static_cast<const T*>(column.values) + begin;
      for (size_t i = 0; i < rows.size(); ++i) rows[i].*member = values[i];
      return nullptr;
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const ParquetColumn* const bad =
        ReadParquetValue(column, begin + static_cast<int64_t>(i), rows[i].*member);
    if (bad != nullptr) return bad;
  }
  return nullptr;
}

// Sets `rows` to those from row `begin` of a batch on, one column after the other. The result is
// that of ReadParquetValue.
template <class Row, auto... members>
const ParquetColumn* ReadParquetRows(const ColumnList<members...>&,
                                     const std::vector<ParquetColumn>& columns, int64_t begin,
                                     std::span<Row> rows) {
  const ParquetColumn* bad = nullptr;
  size_t index = 0;
  const bool read =
      (((bad = ReadParquetMember<members>(columns[index++], begin, rows)) == nullptr) && ...);
  return read ? nullptr : bad;
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_COLUMN_H_
