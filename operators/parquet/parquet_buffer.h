#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_BUFFER_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/shapes.h"
#include "operators/io/columns.h"
#include "operators/io/json_value.h"
#include "operators/parquet/parquet_type.h"

namespace headway::internal {

// The values of a column that are to be written. A null has a default value in `values`.
struct ParquetBuffer {
  int64_t count = 0;
  std::string values = {};            // numbers as in memory, a byte for each bool, characters
  std::vector<int32_t> offsets = {};  // the ends of strings, and of lists among their elements
  std::vector<bool> is_valid = {};    // of a member that is optional
  std::vector<ParquetBuffer> children = {};
};

template <class T>
void AppendParquetValue(ParquetBuffer& buffer, const T& value);

template <class T, auto... members>
void AppendParquetStruct(const ColumnList<members...>&, ParquetBuffer& buffer, const T& value) {
  buffer.children.resize(sizeof...(members));
  size_t index = 0;
  (AppendParquetValue(buffer.children[index++], value.*members), ...);
}

template <class T>
void AppendParquetValue(ParquetBuffer& buffer, const T& value) {
  if constexpr (OptionalLike<T>) {
    buffer.is_valid.push_back(value.has_value());
    AppendParquetValue(buffer, value.has_value() ? *value : typename T::value_type{});
  } else {
    ++buffer.count;
    if constexpr (std::is_same_v<T, std::string>) {
      buffer.values += value;
      buffer.offsets.push_back(static_cast<int32_t>(buffer.values.size()));
    } else if constexpr (ColumnTime<T>) {
      using Stored =
          std::conditional_t<ParquetTypes::KindOf<T>() == ParquetKind::kDate, int32_t, int64_t>;
      const Stored stored = static_cast<Stored>(value.time_since_epoch().count());
      buffer.values.append(reinterpret_cast<const char*>(&stored), sizeof(stored));
    } else if constexpr (std::is_arithmetic_v<T>) {
      buffer.values.append(reinterpret_cast<const char*>(&value), sizeof(value));
    } else if constexpr (HasColumns<T>) {
      AppendParquetStruct(ColumnsOf<T>(), buffer, value);
    } else {
      buffer.children.resize(1);
      for (const auto& element : value) {
        AppendParquetValue<typename T::value_type>(buffer.children[0], element);
      }
      buffer.offsets.push_back(static_cast<int32_t>(buffer.children[0].count));
    }
  }
}

// Returns false if a string of the value is not UTF-8, as columns of strings must be.
template <class T>
bool IsUtf8Throughout(const T& value) {
  if constexpr (OptionalLike<T>) {
    return !value.has_value() || IsUtf8Throughout(*value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return IsUtf8(value);
  } else if constexpr (ColumnTime<T> || std::is_arithmetic_v<T>) {
    return true;
  } else if constexpr (HasColumns<T>) {
    bool is_utf8 = true;
    ColumnsOf<T>().ForEach(value, [&](std::string_view, const auto& member) {
      is_utf8 = is_utf8 && IsUtf8Throughout(member);
    });
    return is_utf8;
  } else {
    for (const auto& element : value) {
      if (!IsUtf8Throughout<typename T::value_type>(element)) return false;
    }
    return true;
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_BUFFER_H_
