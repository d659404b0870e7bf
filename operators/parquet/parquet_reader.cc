#include "operators/parquet/parquet_reader.h"

#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <fcntl.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <exception>
#include <limits>
#include <map>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "comm/codec/stable_hash.h"
#include "comm/system/file_descriptor.h"
#include "engine/runtime/status_macros.h"
#include "operators/parquet/parquet_paths.h"

namespace headway::internal {
namespace {

using PathValues = std::map<std::string, std::optional<std::string>>;
using Type = arrow::Type;
using parquet::arrow::SchemaField;

// The rows that are decoded at a time: a few columns of them fit into a cache.
constexpr int64_t kBatchRows = 16 * 1024;

// Calls of Arrow return a status, and those of its Parquet part may throw as well.
absl::Status Guarded(const std::string& path, absl::FunctionRef<arrow::Status()> call) {
  std::string message;
  absl::StatusCode code = absl::StatusCode::kDataLoss;
  try {
    const arrow::Status status = call();
    if (status.ok()) return absl::OkStatus();
    message = status.message();
    if (status.IsNotImplemented()) code = absl::StatusCode::kUnimplemented;
    if (status.IsOutOfMemory()) code = absl::StatusCode::kResourceExhausted;
    if (status.IsCapacityError()) code = absl::StatusCode::kOutOfRange;
  } catch (const std::bad_alloc&) {
    message = "out of memory";
    code = absl::StatusCode::kResourceExhausted;
  } catch (const std::exception& error) {
    message = error.what();
  }
  message.resize(std::min(message.find('\n'), message.size()));
  return absl::Status(code, absl::StrCat("cannot read '", path, "': ", message));
}

const char* NameOf(const ParquetField& field) {
  switch (field.kind) {
    case ParquetKind::kBool:
      return "bool";
    case ParquetKind::kInt8:
      return "int8";
    case ParquetKind::kInt16:
      return "int16";
    case ParquetKind::kInt32:
      return "int32";
    case ParquetKind::kInt64:
      return "int64";
    case ParquetKind::kUInt8:
      return "uint8";
    case ParquetKind::kUInt16:
      return "uint16";
    case ParquetKind::kUInt32:
      return "uint32";
    case ParquetKind::kUInt64:
      return "uint64";
    case ParquetKind::kFloat:
      return "float";
    case ParquetKind::kDouble:
      return "double";
    case ParquetKind::kString:
      return "string";
    case ParquetKind::kDate:
      return "date";
    case ParquetKind::kMilliseconds:
      return "timestamp[ms]";
    case ParquetKind::kMicroseconds:
      return "timestamp[us]";
    case ParquetKind::kNanoseconds:
      return "timestamp[ns]";
    case ParquetKind::kList:
      return "list";
    case ParquetKind::kRecord:
      return "struct";
  }
  return "";
}

// ---- Types of a file, and those of members ----

// Ticks of a second.
int64_t TicksOf(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      break;
  }
  return 1'000'000'000;
}
int64_t TicksOf(ParquetKind kind) {
  return kind == ParquetKind::kMilliseconds   ? 1'000
         : kind == ParquetKind::kMicroseconds ? 1'000'000
                                              : 1'000'000'000;
}

bool IsString(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || type.id() == Type::FIXED_SIZE_BINARY;
}

// Integers from narrower ones that have no other values.
bool IsWithin(Type::type type, ParquetKind kind) {
  // In the order of the kinds.
  constexpr Type::type kSigned[] = {Type::INT8, Type::INT16, Type::INT32, Type::INT64};
  constexpr Type::type kUnsigned[] = {Type::UINT8, Type::UINT16, Type::UINT32, Type::UINT64};
  const int wanted = static_cast<int>(kind);
  const int first_signed = static_cast<int>(ParquetKind::kInt8);
  const int first_unsigned = static_cast<int>(ParquetKind::kUInt8);
  for (int width = 0; width < 4; ++width) {
    if (type == kSigned[width]) {
      return wanted >= first_signed + width && wanted < first_unsigned;
    }
    if (type == kUnsigned[width]) {
      return wanted >= first_unsigned + width ||
             (wanted > first_signed + width && wanted < first_unsigned);
    }
  }
  return false;
}

// True if a member of this kind can have the values of the type. Children are compared elsewhere.
bool CanRead(const arrow::DataType& type, ParquetKind kind) {
  if (type.id() == Type::NA) return true;  // pyarrow's type of a column that has nulls alone
  switch (kind) {
    case ParquetKind::kBool:
      return type.id() == Type::BOOL;
    case ParquetKind::kInt8:
    case ParquetKind::kInt16:
    case ParquetKind::kInt32:
    case ParquetKind::kInt64:
    case ParquetKind::kUInt8:
    case ParquetKind::kUInt16:
    case ParquetKind::kUInt32:
    case ParquetKind::kUInt64:
      return IsWithin(type.id(), kind);
    case ParquetKind::kFloat:
      return type.id() == Type::FLOAT;
    case ParquetKind::kDouble:
      return type.id() == Type::FLOAT || type.id() == Type::DOUBLE;
    case ParquetKind::kString:
      if (type.id() == Type::DICTIONARY) {
        return IsString(*static_cast<const arrow::DictionaryType&>(type).value_type());
      }
      return IsString(type);
    case ParquetKind::kDate:
      return type.id() == Type::DATE32 || type.id() == Type::DATE64;
    case ParquetKind::kMilliseconds:
    case ParquetKind::kMicroseconds:
    case ParquetKind::kNanoseconds:
      return type.id() == Type::TIMESTAMP &&
             TicksOf(static_cast<const arrow::TimestampType&>(type).unit()) <= TicksOf(kind);
    case ParquetKind::kList:
      return type.id() == Type::LIST || type.id() == Type::LARGE_LIST || type.id() == Type::MAP ||
             type.id() == Type::FIXED_SIZE_LIST;
    case ParquetKind::kRecord:
      return type.id() == Type::STRUCT;
  }
  return false;
}

// Adds the columns of Parquet below a field.
void AddLeaves(const SchemaField& field, std::vector<int>& leaves) {
  if (field.is_leaf()) leaves.push_back(field.column_index);
  for (const SchemaField& child : field.children) AddLeaves(child, leaves);
}

const SchemaField* Find(const std::vector<SchemaField>& fields, const std::string& name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const SchemaField& field) {
    return field.field->name() == name;
  });
  return found == fields.end() ? nullptr : &*found;
}

absl::Status MissingError(const std::string& path, const std::string& column) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", path, "' has no column '", column,
                   "'; make its member a std::optional if files may lack it"));
}

// Checks that `have` can be read as `wanted`, and adds the columns of Parquet that it takes.
absl::Status Match(const std::string& path, const std::string& column, const ParquetField& wanted,
                   const SchemaField& have, std::vector<int>& leaves) {
  const arrow::DataType& type = *have.field->type();
  if (!CanRead(type, wanted.kind)) {
    return absl::InvalidArgumentError(absl::StrCat("the column '", column, "' of '", path,
                                                   "' has the type ", type.ToString(),
                                                   ", but its member needs ", NameOf(wanted)));
  }
  if (type.id() == Type::NA) {
    AddLeaves(have, leaves);
    return absl::OkStatus();
  }
  if (wanted.kind == ParquetKind::kList) {
    return Match(path, absl::StrCat(column, "[]"), wanted.children[0], have.children[0], leaves);
  }
  if (wanted.kind != ParquetKind::kRecord) {
    AddLeaves(have, leaves);
    return absl::OkStatus();
  }
  const size_t before = leaves.size();
  for (const ParquetField& child : wanted.children) {
    const std::string name = absl::StrCat(column, ".", child.name);
    const SchemaField* const found = Find(have.children, child.name);
    if (found == nullptr && !child.is_optional) return MissingError(path, name);
    if (found != nullptr) HEADWAY_RETURN_IF_ERROR(Match(path, name, child, *found, leaves));
  }
  // A struct none of whose fields is there: any column says which are null.
  if (leaves.size() == before) AddLeaves(have, leaves);
  return absl::OkStatus();
}

// ---- Decoded columns ----

// The memory of columns that are not as in the batch.
using Owned = std::vector<std::shared_ptr<void>>;

template <class T>
T* Allocate(int64_t count, Owned& owned) {
  std::shared_ptr<T[]> memory(new T[static_cast<size_t>(count)]);
  T* const begin = memory.get();
  owned.push_back(std::move(memory));
  return begin;
}

template <class From, class To>
void ConvertNumbers(const arrow::Array& array, ParquetColumn& column, Owned& owned) {
  const From* const from = array.data()->GetValues<From>(1);
  if constexpr (std::is_same_v<From, To>) {
    column.values = from;
  } else {
    To* const to = Allocate<To>(array.length(), owned);
    for (int64_t i = 0; i < array.length(); ++i) {
      to[i] = static_cast<To>(from[i]);  // NOLINT(bugprone-signed-char-misuse): no characters
    }
    column.values = to;
  }
}

// Timestamps become those of a finer unit, which has fewer years.
arrow::Status ConvertTimes(const arrow::Array& array, ParquetColumn& column, Owned& owned) {
  const auto& type = static_cast<const arrow::TimestampType&>(*array.type());
  const int64_t factor = TicksOf(column.field->kind) / TicksOf(type.unit());
  if (factor == 1) {
    ConvertNumbers<int64_t, int64_t>(array, column, owned);
    return arrow::Status::OK();
  }
  const int64_t* const from = array.data()->GetValues<int64_t>(1);
  int64_t* const to = Allocate<int64_t>(array.length(), owned);
  for (int64_t i = 0; i < array.length(); ++i) {
    // Null values may have any bits.
    if (!__builtin_mul_overflow(from[i], factor, &to[i]) || column.IsNull(i)) continue;
    return arrow::Status::CapacityError("a time of the column '", column.field->name,
                                        "' is out of the range of ", NameOf(*column.field),
                                        "; let its member have a coarser unit");
  }
  column.values = to;
  return arrow::Status::OK();
}

template <class To>
void ConvertIntegers(const arrow::Array& array, ParquetColumn& column, Owned& owned) {
  switch (array.type_id()) {
    case Type::INT8:
      return ConvertNumbers<int8_t, To>(array, column, owned);
    case Type::INT16:
      return ConvertNumbers<int16_t, To>(array, column, owned);
    case Type::INT32:
      return ConvertNumbers<int32_t, To>(array, column, owned);
    case Type::INT64:
      return ConvertNumbers<int64_t, To>(array, column, owned);
    case Type::UINT8:
      return ConvertNumbers<uint8_t, To>(array, column, owned);
    case Type::UINT16:
      return ConvertNumbers<uint16_t, To>(array, column, owned);
    case Type::UINT32:
      return ConvertNumbers<uint32_t, To>(array, column, owned);
    default:
      return ConvertNumbers<uint64_t, To>(array, column, owned);
  }
}

arrow::Status TooLargeError(const ParquetColumn& column) {
  return arrow::Status::CapacityError("a batch of rows has more than 2 GiB of the column '",
                                      column.field->name, "'");
}

// Sets the offsets of strings or lists, which have `size` bytes or elements. Offsets of 64
// bits become ones of 32. A corrupt file must not lead out of the memory of its column.
template <class Offset>
arrow::Status ConvertOffsets(const Offset* from, int64_t count, int64_t size, ParquetColumn& column,
                             Owned& owned) {
  if (count == 0) return arrow::Status::OK();
  bool is_sorted = from[0] >= 0;
  for (int64_t i = 0; i < count; ++i) is_sorted &= from[i] <= from[i + 1];
  if (!is_sorted || from[count] > size) {
    return arrow::Status::Invalid("the column '", column.field->name, "' is corrupt");
  }
  if constexpr (std::is_same_v<Offset, int32_t>) {
    column.offsets = from;
  } else {
    if (from[count] > std::numeric_limits<int32_t>::max()) return TooLargeError(column);
    int32_t* const to = Allocate<int32_t>(count + 1, owned);
    for (int64_t i = 0; i <= count; ++i) to[i] = static_cast<int32_t>(from[i]);
    column.offsets = to;
  }
  return arrow::Status::OK();
}

// Sets the offsets of strings or lists of one size, the first of which has the offset `begin`.
arrow::Status SetOffsets(int64_t begin, int64_t count, int64_t width, ParquetColumn& column,
                         Owned& owned) {
  int64_t end = 0;
  if (__builtin_mul_overflow(count, width, &end) || __builtin_add_overflow(end, begin, &end) ||
      end > std::numeric_limits<int32_t>::max()) {
    return TooLargeError(column);
  }
  int32_t* const offsets = Allocate<int32_t>(count + 1, owned);
  for (int64_t i = 0; i <= count; ++i) offsets[i] = static_cast<int32_t>(begin + i * width);
  column.offsets = offsets;
  return arrow::Status::OK();
}

template <class Strings>
arrow::Status ConvertBinary(const Strings& strings, ParquetColumn& column, Owned& owned) {
  column.values = strings.raw_data();
  const int64_t size = strings.value_data() == nullptr ? 0 : strings.value_data()->size();
  return ConvertOffsets(strings.raw_value_offsets(), strings.length(), size, column, owned);
}

template <class Index>
arrow::Status ConvertIndices(const arrow::Array& array, int64_t size, ParquetColumn& column,
                             Owned& owned) {
  const Index* const from = array.data()->GetValues<Index>(1);
  int32_t* const to = Allocate<int32_t>(array.length(), owned);
  for (int64_t i = 0; i < array.length(); ++i) {
    // Null values may have any bits.
    const bool is_within =
        std::in_range<int32_t>(from[i]) && from[i] >= 0 && static_cast<int64_t>(from[i]) < size;
    if (!is_within && !column.IsNull(i)) {
      return arrow::Status::Invalid("the column '", column.field->name,
                                    "' has a value that its dictionary lacks");
    }
    to[i] = is_within ? static_cast<int32_t>(from[i]) : 0;
  }
  column.indices = to;
  return arrow::Status::OK();
}

arrow::Status ConvertIndices(const arrow::Array& array, int64_t size, ParquetColumn& column,
                             Owned& owned) {
  switch (array.type_id()) {
    case Type::INT8:
      return ConvertIndices<int8_t>(array, size, column, owned);
    case Type::INT16:
      return ConvertIndices<int16_t>(array, size, column, owned);
    case Type::INT32:
      return ConvertIndices<int32_t>(array, size, column, owned);
    case Type::INT64:
      return ConvertIndices<int64_t>(array, size, column, owned);
    case Type::UINT8:
      return ConvertIndices<uint8_t>(array, size, column, owned);
    case Type::UINT16:
      return ConvertIndices<uint16_t>(array, size, column, owned);
    case Type::UINT32:
      return ConvertIndices<uint32_t>(array, size, column, owned);
    default:
      return ConvertIndices<uint64_t>(array, size, column, owned);
  }
}

arrow::Status ConvertString(const arrow::Array& array, ParquetColumn& column, Owned& owned) {
  switch (array.type_id()) {
    case Type::STRING:
    case Type::BINARY:
      return ConvertBinary(static_cast<const arrow::BinaryArray&>(array), column, owned);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return ConvertBinary(static_cast<const arrow::LargeBinaryArray&>(array), column, owned);
    case Type::DICTIONARY: {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
      ARROW_RETURN_NOT_OK(
          ConvertIndices(*coded.indices(), coded.dictionary()->length(), column, owned));
      return ConvertString(*coded.dictionary(), column, owned);
    }
    default: {
      const auto& fixed = static_cast<const arrow::FixedSizeBinaryArray&>(array);
      column.values = fixed.raw_values();
      return SetOffsets(0, array.length(), fixed.byte_width(), column, owned);
    }
  }
}

arrow::Status Convert(const arrow::Array& array, const ParquetField& field, ParquetColumn& column,
                      Owned& owned);

arrow::Status ConvertList(const arrow::Array& array, const ParquetField& field,
                          ParquetColumn& column, Owned& owned) {
  std::shared_ptr<arrow::Array> elements;
  if (array.type_id() == Type::LARGE_LIST) {
    const auto& lists = static_cast<const arrow::LargeListArray&>(array);
    elements = lists.values();
    ARROW_RETURN_NOT_OK(ConvertOffsets(lists.raw_value_offsets(), array.length(),
                                       elements->length(), column, owned));
  } else if (array.type_id() == Type::FIXED_SIZE_LIST) {
    const auto& lists = static_cast<const arrow::FixedSizeListArray&>(array);
    ARROW_RETURN_NOT_OK(SetOffsets(lists.value_offset(0), array.length(),
                                   lists.list_type()->list_size(), column, owned));
    elements = lists.values();
  } else {
    const auto& lists = static_cast<const arrow::ListArray&>(array);
    elements = lists.values();
    ARROW_RETURN_NOT_OK(ConvertOffsets(lists.raw_value_offsets(), array.length(),
                                       elements->length(), column, owned));
  }
  column.children.resize(1);
  owned.push_back(elements);
  return Convert(*elements, field.children[0], column.children[0], owned);
}

arrow::Status ConvertStruct(const arrow::StructArray& array, const ParquetField& field,
                            ParquetColumn& column, Owned& owned) {
  column.children.resize(field.children.size());
  for (size_t i = 0; i < field.children.size(); ++i) {
    const int index = array.struct_type()->GetFieldIndex(field.children[i].name);
    if (index < 0) {
      column.children[i].field = &field.children[i];
      column.children[i].is_missing = true;
      continue;
    }
    std::shared_ptr<arrow::Array> child = array.field(index);
    owned.push_back(child);
    ARROW_RETURN_NOT_OK(Convert(*child, field.children[i], column.children[i], owned));
  }
  return arrow::Status::OK();
}

arrow::Status Convert(const arrow::Array& array, const ParquetField& field, ParquetColumn& column,
                      Owned& owned) {
  column.field = &field;
  if (array.type_id() == Type::NA) {
    column.is_missing = true;
    return arrow::Status::OK();
  }
  column.bit_offset = array.offset();
  column.validity = array.null_count() > 0 ? array.null_bitmap_data() : nullptr;
  switch (field.kind) {
    case ParquetKind::kBool:
      column.values = array.data()->GetValues<uint8_t>(1, 0);
      return arrow::Status::OK();
    case ParquetKind::kInt8:
      ConvertIntegers<int8_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kInt16:
      ConvertIntegers<int16_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kInt32:
      ConvertIntegers<int32_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kInt64:
      ConvertIntegers<int64_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kUInt8:
      ConvertIntegers<uint8_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kUInt16:
      ConvertIntegers<uint16_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kUInt32:
      ConvertIntegers<uint32_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kUInt64:
      ConvertIntegers<uint64_t>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kFloat:
      ConvertNumbers<float, float>(array, column, owned);
      return arrow::Status::OK();
    case ParquetKind::kDouble:
      if (array.type_id() == Type::FLOAT) {
        ConvertNumbers<float, double>(array, column, owned);
      } else {
        ConvertNumbers<double, double>(array, column, owned);
      }
      return arrow::Status::OK();
    case ParquetKind::kString:
      return ConvertString(array, column, owned);
    case ParquetKind::kDate:
      if (array.type_id() == Type::DATE32) {
        ConvertNumbers<int32_t, int32_t>(array, column, owned);
      } else {
        const int64_t* const milliseconds = array.data()->GetValues<int64_t>(1);
        int32_t* const days = Allocate<int32_t>(array.length(), owned);
        for (int64_t i = 0; i < array.length(); ++i) {
          days[i] = static_cast<int32_t>(milliseconds[i] / 86'400'000);
        }
        column.values = days;
      }
      return arrow::Status::OK();
    case ParquetKind::kMilliseconds:
    case ParquetKind::kMicroseconds:
    case ParquetKind::kNanoseconds:
      return ConvertTimes(array, column, owned);
    case ParquetKind::kList:
      return ConvertList(array, field, column, owned);
    case ParquetKind::kRecord:
      return ConvertStruct(static_cast<const arrow::StructArray&>(array), field, column, owned);
  }
  return arrow::Status::OK();
}

// ---- Conditions ----

// True if no value from `min` to `max` meets the condition.
template <class V>
bool Excludes(ParquetComparison comparison, const V& value, const V& min, const V& max) {
  switch (comparison) {
    case ParquetComparison::kEqual:
      return value < min || max < value;
    case ParquetComparison::kLess:
      return !(min < value);
    case ParquetComparison::kLessOrEqual:
      return value < min;
    case ParquetComparison::kGreater:
      return !(value < max);
    case ParquetComparison::kGreaterOrEqual:
      return max < value;
  }
  return false;
}

absl::Status ConditionError(const ParquetCondition& condition, const std::string& path,
                            const std::string& type) {
  constexpr const char* kNames[] = {"an integer", "a double", "a string", "a time"};
  return absl::InvalidArgumentError(absl::StrCat(
      "the condition on '", condition.column, "' compares with ", kNames[condition.value.index()],
      ", but the column of '", path, "' has the type ", type));
}

// Below this doubles have all integers.
constexpr double kExactDouble = 9007199254740992.0;

// The same for columns of floating point, whose writers may have taken a NaN for the minimum or the
// maximum.
bool ExcludesReals(const ParquetCondition& condition, double min, double max) {
  double value = 0;
  if (const auto* const integer = std::get_if<int64_t>(&condition.value)) {
    value = static_cast<double>(*integer);
    if (std::abs(value) >= kExactDouble) return false;
  } else {
    value = std::get<double>(condition.value);
  }
  if (std::isnan(min) || std::isnan(max)) return false;
  return Excludes(condition.comparison, value, min, max);
}

// The nanoseconds of a tick of a column of dates or timestamps; 0: it has another type.
int64_t NanosecondsOfTick(const parquet::ColumnDescriptor& column) {
  const std::shared_ptr<const parquet::LogicalType>& type = column.logical_type();
  if (type == nullptr) return 0;
  if (type->is_date()) return int64_t{86'400} * 1'000'000'000;
  if (!type->is_timestamp()) return 0;
  switch (static_cast<const parquet::TimestampLogicalType&>(*type).time_unit()) {
    case parquet::LogicalType::TimeUnit::MILLIS:
      return 1'000'000;
    case parquet::LogicalType::TimeUnit::MICROS:
      return 1'000;
    case parquet::LogicalType::TimeUnit::NANOS:
      return 1;
    default:
      return 0;
  }
}

// Whether the condition excludes all rows of a file of which a directory names the value.
absl::StatusOr<bool> ExcludesText(const ParquetCondition& condition, const std::string& path,
                                  const std::optional<std::string>& text) {
  if (!text.has_value()) return true;
  if (const auto* const value = std::get_if<std::string>(&condition.value)) {
    return Excludes(condition.comparison, *value, *text, *text);
  }
  if (const auto* const value = std::get_if<int64_t>(&condition.value)) {
    int64_t number = 0;
    if (absl::SimpleAtoi(*text, &number)) {
      return Excludes(condition.comparison, *value, number, number);
    }
  } else if (const auto* const value = std::get_if<double>(&condition.value)) {
    double number = 0;
    if (absl::SimpleAtod(*text, &number)) {
      return std::abs(number) < kExactDouble &&
             Excludes(condition.comparison, *value, number, number);
    }
  }
  return ConditionError(condition, path, "string");
}

template <class DType>
const auto& Typed(const parquet::Statistics& statistics) {
  return static_cast<const parquet::TypedStatistics<DType>&>(statistics);
}

std::string_view TextOf(const parquet::ByteArray& bytes) {
  return {reinterpret_cast<const char*>(bytes.ptr), bytes.len};
}

// Whether statistics show that no row of a row group meets the condition.
absl::StatusOr<bool> ExcludesGroup(const ParquetCondition& condition, const std::string& path,
                                   const parquet::ColumnDescriptor& column,
                                   const parquet::Statistics* statistics) {
  const auto* const integer = std::get_if<int64_t>(&condition.value);
  const auto* const text = std::get_if<std::string>(&condition.value);
  const auto* const time = std::get_if<ParquetConditionTime>(&condition.value);
  const int64_t tick = NanosecondsOfTick(column);
  const parquet::Type::type type = column.physical_type();
  const bool is_float = type == parquet::Type::FLOAT || type == parquet::Type::DOUBLE;
  const bool is_integer = type == parquet::Type::INT32 || type == parquet::Type::INT64;
  const bool is_text = type == parquet::Type::BYTE_ARRAY;
  const bool is_decimal = column.logical_type() != nullptr && column.logical_type()->is_decimal();
  const bool fits =
      !is_decimal &&
      ((is_integer && (integer != nullptr || (time != nullptr && tick != 0))) ||
       (is_float && text == nullptr && time == nullptr) || (is_text && text != nullptr));
  if (!fits) {
    return ConditionError(condition, path, is_decimal ? "DECIMAL" : parquet::TypeToString(type));
  }
  if (statistics == nullptr || !statistics->HasMinMax()) return false;
  const ParquetComparison comparison = condition.comparison;
  if (is_text) {
    const auto& typed = Typed<parquet::ByteArrayType>(*statistics);
    return Excludes<std::string_view>(comparison, *text, TextOf(typed.min()), TextOf(typed.max()));
  }
  if (is_float) {
    if (type == parquet::Type::FLOAT) {
      const auto& typed = Typed<parquet::FloatType>(*statistics);
      return ExcludesReals(condition, typed.min(), typed.max());
    }
    const auto& typed = Typed<parquet::DoubleType>(*statistics);
    return ExcludesReals(condition, typed.min(), typed.max());
  }
  int64_t min = 0;
  int64_t max = 0;
  const bool is_unsigned = column.sort_order() == parquet::SortOrder::UNSIGNED;
  if (type == parquet::Type::INT32) {
    const auto& typed = Typed<parquet::Int32Type>(*statistics);
    min = is_unsigned ? int64_t{static_cast<uint32_t>(typed.min())} : typed.min();
    max = is_unsigned ? int64_t{static_cast<uint32_t>(typed.max())} : typed.max();
  } else {
    const auto& typed = Typed<parquet::Int64Type>(*statistics);
    min = typed.min();
    max = typed.max();
    // Numbers that an int64_t does not have.
    if (is_unsigned && max < 0) max = std::numeric_limits<int64_t>::max();
    if (is_unsigned && min < 0) return comparison <= ParquetComparison::kLessOrEqual;
    if (is_unsigned && typed.max() < 0 && *integer == max) return false;
  }
  if (time != nullptr) {
    return Excludes(comparison, absl::int128(time->time_since_epoch().count()) * 1'000,
                    absl::int128(min) * tick, absl::int128(max) * tick);
  }
  return Excludes(comparison, *integer, min, max);
}

// ---- Files ----

// An open file, and the columns that are read of it.
struct OpenFile {
  std::string path;
  PathValues path_values;
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::vector<int> leaves = {};
  // Of the fields that the file does not have.
  std::vector<ParquetColumn> absent = {};  // by field; without a field if it is there
};

absl::Status CheckTextColumn(const std::string& path, const ParquetField& field) {
  if (field.kind <= ParquetKind::kString) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the column '", field.name, "' of '", path,
                   "' is a directory of its path, whose value is a string, but its member needs ",
                   NameOf(field)));
}

absl::Status SelectColumns(const ParquetSelection& selection, OpenFile& file) {
  const std::vector<SchemaField>& have = file.reader->manifest().schema_fields;
  for (const std::string& name : selection.names) {
    const SchemaField* const found = Find(have, name);
    if (found == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", file.path, "' has no column '", name, "'"));
    }
    AddLeaves(*found, file.leaves);
  }
  file.absent.resize(selection.fields.size());
  for (size_t i = 0; i < selection.fields.size(); ++i) {
    const ParquetField& field = selection.fields[i];
    if (const SchemaField* const found = Find(have, field.name)) {
      HEADWAY_RETURN_IF_ERROR(Match(file.path, field.name, field, *found, file.leaves));
      continue;
    }
    ParquetColumn& absent = file.absent[i];
    absent.field = &field;
    const auto in_path = file.path_values.find(field.name);
    if (in_path != file.path_values.end()) {
      HEADWAY_RETURN_IF_ERROR(CheckTextColumn(file.path, field));
      absent.text = in_path->second;
      absent.is_missing = !absent.text.has_value();
    } else {
      if (!field.is_optional) return MissingError(file.path, field.name);
      absent.is_missing = true;
    }
  }
  if (selection.names.empty() && selection.fields.empty()) {
    for (const SchemaField& field : have) AddLeaves(field, file.leaves);
  }
  std::sort(file.leaves.begin(), file.leaves.end());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<OpenFile>> OpenParquet(const std::string& path,
                                                      const ParquetSelection& selection) {
  FileDescriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open '", path, "'"));
  }
  auto file = std::make_shared<OpenFile>();
  file->path = path;
  file->path_values = PathColumns(path);
  HEADWAY_RETURN_IF_ERROR(Guarded(path, [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto input, arrow::io::ReadableFile::Open(descriptor.Release()));
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_batch_size(kBatchRows);
    properties.set_pre_buffer(false);
    // Nanoseconds of 64 bits do not have the years that these have.
    properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(std::move(input)));
    return builder.properties(properties)->Build(&file->reader);
  }));
  HEADWAY_RETURN_IF_ERROR(SelectColumns(selection, *file));
  return file;
}

std::string NameOfGroup(const std::string& path, int group) {
  return absl::StrCat(path, "#", group);
}

// A number that another row group of this name most likely does not have: rows, and the sizes and
// statistics of all columns. It does not depend on the columns that are read.
std::string FingerprintOf(const parquet::RowGroupMetaData& group) {
  std::string text = absl::StrCat(group.num_rows());
  for (int i = 0; i < group.num_columns(); ++i) {
    const auto column = group.ColumnChunk(i);
    absl::StrAppend(&text, " ", column->total_compressed_size(), " ",
                    column->total_uncompressed_size());
    const std::shared_ptr<parquet::Statistics> statistics = column->statistics();
    if (statistics == nullptr || !statistics->HasMinMax()) continue;
    absl::StrAppend(&text, " ", statistics->EncodeMin(), " ", statistics->EncodeMax());
  }
  return absl::StrCat(absl::Hex(HashBytes(text.data(), text.size()), absl::kZeroPad16));
}

// A place in a row group. As text, `<rows> <fingerprint>`.
struct Position {
  int64_t rows = 0;
  std::string fingerprint = {};
};

absl::StatusOr<Position> ParsePosition(const std::string& text, const std::string& row_group) {
  const std::vector<std::string> parts = absl::StrSplit(text, ' ');
  Position position;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &position.rows) && position.rows >= 0) {
    position.fingerprint = parts[1];
    return position;
  }
  return absl::DataLossError(absl::StrCat("the stored position '", text, "' in '", row_group,
                                          "' is not a number of rows and a fingerprint"));
}

absl::Status ChangedError(const std::string& row_group) {
  return absl::DataLossError(absl::StrCat(
      "the row group '", row_group,
      "' is not the one that was there before: its file was replaced; put that file back, and "
      "give new rows a file of another name"));
}

}  // namespace

// ---- ParquetRows ----

struct ParquetRows::Impl {
  std::string name;
  std::shared_ptr<OpenFile> file;
  const ParquetSelection* selection;
  std::string fingerprint = {};
  int64_t begin = 0;                                           // in the row group
  std::unique_ptr<arrow::RecordBatchReader> reader = nullptr;  // null: all rows were read
  int64_t skipped = 0;                                         // rows to skip still
  std::shared_ptr<arrow::RecordBatch> batch = nullptr;
  std::vector<ParquetColumn> columns = {};
  Owned owned = {};

  arrow::Status ConvertColumns() {
    owned.clear();
    columns = file->absent;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].field != nullptr) continue;
      const ParquetField& field = selection->fields[i];
      const int index = batch->schema()->GetFieldIndex(field.name);
      if (index < 0) {
        return arrow::Status::Invalid("it has several columns '", field.name, "'");
      }
      ARROW_RETURN_NOT_OK(Convert(*batch->column(index), field, columns[i], owned));
    }
    return arrow::Status::OK();
  }
};

ParquetRows::ParquetRows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ParquetRows::~ParquetRows() = default;
ParquetRows::ParquetRows(ParquetRows&&) noexcept = default;
ParquetRows& ParquetRows::operator=(ParquetRows&&) noexcept = default;

absl::StatusOr<bool> ParquetRows::Next() {
  Impl& rows = *impl_;
  do {
    if (rows.reader == nullptr) return false;
    HEADWAY_RETURN_IF_ERROR(Guarded(rows.name, [&] { return rows.reader->ReadNext(&rows.batch); }));
    if (rows.batch == nullptr) {
      rows.reader = nullptr;
      return false;
    }
    const int64_t skipped = std::min(rows.skipped, rows.batch->num_rows());
    rows.skipped -= skipped;
    if (skipped > 0) rows.batch = rows.batch->Slice(skipped);
  } while (rows.batch->num_rows() == 0);
  HEADWAY_RETURN_IF_ERROR(Guarded(rows.name, [&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(rows.batch->Validate());  // sizes of memory, whatever the file says
    return rows.ConvertColumns();
  }));
  return true;
}

int64_t ParquetRows::begin() const { return impl_->begin; }
std::string ParquetRows::PositionAt(int64_t rows) const {
  return absl::StrCat(rows, " ", impl_->fingerprint);
}
int64_t ParquetRows::size() const { return impl_->batch == nullptr ? 0 : impl_->batch->num_rows(); }
const std::vector<ParquetColumn>& ParquetRows::columns() const { return impl_->columns; }
const std::shared_ptr<arrow::RecordBatch>& ParquetRows::batch() const { return impl_->batch; }

absl::Status ParquetRows::ErrorOf(const ParquetColumn& column) const {
  if (column.text.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("the directory '", column.field->name, "=",
                                                   *column.text, "' of '", impl_->file->path,
                                                   "' names no ", NameOf(*column.field)));
  }
  return absl::InvalidArgumentError(absl::StrCat("the column '", column.field->name, "' of '",
                                                 impl_->file->path,
                                                 "' has a null; make its member a std::optional"));
}

// ---- ParquetReader ----

struct ParquetReader::Impl {
  std::vector<std::string> paths;
  ParquetSelection selection;
  std::vector<ParquetCondition> where;
  std::shared_ptr<OpenFile> file = nullptr;

  absl::Status Open(const std::string& path) {
    if (file != nullptr && file->path == path) return absl::OkStatus();
    absl::StatusOr<std::shared_ptr<OpenFile>> opened = OpenParquet(path, selection);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
    return absl::OkStatus();
  }

  // Whether a condition excludes the row group of the open file. `known` has the conditions whose
  // column some file has.
  absl::StatusOr<bool> IsExcluded(const parquet::FileMetaData& metadata, int group,
                                  std::vector<bool>& known) const {
    bool excluded = false;
    for (size_t i = 0; i < where.size(); ++i) {
      const ParquetCondition& condition = where[i];
      const int leaf = metadata.schema()->ColumnIndex(condition.column);
      const auto in_path = file->path_values.find(condition.column);
      if (leaf < 0 && in_path == file->path_values.end()) continue;
      known[i] = true;
      const absl::StatusOr<bool> excludes =
          leaf < 0 ? ExcludesText(condition, file->path, in_path->second)
                   : ExcludesGroup(condition, file->path, *metadata.schema()->Column(leaf),
                                   metadata.RowGroup(group)->ColumnChunk(leaf)->statistics().get());
      if (!excludes.ok()) return excludes;
      excluded |= *excludes;
    }
    return excluded;
  }
};

ParquetReader::ParquetReader(std::vector<std::string> paths, ParquetSelection selection,
                             std::vector<ParquetCondition> where)
    : impl_(
          std::make_unique<Impl>(Impl{std::move(paths), std::move(selection), std::move(where)})) {}
ParquetReader::~ParquetReader() = default;

absl::StatusOr<std::vector<std::string>> ParquetReader::RowGroups() {
  const absl::StatusOr<std::vector<std::string>> files = ParquetFiles(impl_->paths);
  if (!files.ok()) return files.status();
  std::vector<std::string> names;
  std::vector<bool> known(impl_->where.size());
  bool has_rows = false;
  for (const std::string& path : *files) {
    HEADWAY_RETURN_IF_ERROR(impl_->Open(path));
    absl::Status status;
    HEADWAY_RETURN_IF_ERROR(Guarded(path, [&] {
      const auto metadata = impl_->file->reader->parquet_reader()->metadata();
      for (int group = 0; group < metadata->num_row_groups() && status.ok(); ++group) {
        has_rows = true;
        const absl::StatusOr<bool> excluded = impl_->IsExcluded(*metadata, group, known);
        status = excluded.status();
        if (status.ok() && !*excluded) names.push_back(NameOfGroup(path, group));
      }
      return arrow::Status::OK();
    }));
    HEADWAY_RETURN_IF_ERROR(status);
  }
  for (size_t i = 0; i < known.size() && has_rows; ++i) {
    if (known[i]) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("no file has the column '", impl_->where[i].column, "' of a condition"));
  }
  return names;
}

absl::StatusOr<ParquetRows> ParquetReader::Open(const std::string& row_group,
                                                const std::optional<std::string>& position) {
  const size_t end = row_group.rfind('#');
  int group = 0;
  if (end == std::string::npos || !absl::SimpleAtoi(row_group.substr(end + 1), &group)) {
    return absl::InternalError(absl::StrCat("'", row_group, "' is no row group"));
  }
  Position from;
  if (position.has_value()) {
    absl::StatusOr<Position> parsed = ParsePosition(*position, row_group);
    if (!parsed.ok()) return parsed.status();
    from = *std::move(parsed);
  }
  HEADWAY_RETURN_IF_ERROR(impl_->Open(row_group.substr(0, end)));
  auto rows = std::make_unique<ParquetRows::Impl>(ParquetRows::Impl{.name = row_group,
                                                                    .file = impl_->file,
                                                                    .selection = &impl_->selection,
                                                                    .begin = from.rows,
                                                                    .skipped = from.rows});
  bool is_same = false;
  HEADWAY_RETURN_IF_ERROR(Guarded(row_group, [&]() -> arrow::Status {
    parquet::arrow::FileReader& reader = *impl_->file->reader;
    if (group >= reader.num_row_groups()) return arrow::Status::OK();
    const auto metadata = reader.parquet_reader()->metadata()->RowGroup(group);
    rows->fingerprint = FingerprintOf(*metadata);
    is_same = !position.has_value() || from.fingerprint == rows->fingerprint;
    if (!is_same || from.rows == metadata->num_rows()) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(rows->reader, reader.GetRecordBatchReader({group}, impl_->file->leaves));
    return arrow::Status::OK();
  }));
  if (!is_same) return ChangedError(row_group);
  return ParquetRows(std::move(rows));
}

}  // namespace headway::internal
