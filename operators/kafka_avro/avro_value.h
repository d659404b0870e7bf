#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_VALUE_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_VALUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/codec/shapes.h"
#include "operators/io/columns.h"
#include "operators/kafka_avro/avro_plan.h"
#include "operators/kafka_avro/avro_reader.h"
#include "operators/kafka_avro/avro_type.h"
#include "operators/kafka_avro/avro_writer.h"

// Values of C++ from and to the binary encoding, by a plan. All functions return false after a
// failure, which the reader or the writer has.

namespace headway::internal {

template <class T>
bool ReadAvro(AvroReader& in, const AvroPlan& plan, T& value);

template <class T, auto member>
bool ReadAvroMember(AvroReader& in, const AvroPlan& plan, T& record) {
  return ReadAvro(in, plan, record.*member);
}

template <class T, auto... members>
constexpr auto AvroMemberReaders(const ColumnList<members...>&) {
  using Function = bool (*)(AvroReader&, const AvroPlan&, T&);
  return std::array<Function, sizeof...(members)>{&ReadAvroMember<T, members>...};
}

template <class T>
bool ReadAvroRecord(AvroReader& in, const AvroPlan& plan, T& record) {
  static constexpr auto kReaders = AvroMemberReaders<T>(ColumnsOf<T>());
  for (size_t i = 0; i < plan.children.size(); ++i) {
    const int column = plan.columns[i];
    const AvroPlan& child = plan.children[i];
    const bool is_read = column == AvroPlan::kSkipped
                             ? in.Skip(*child.node)
                             : kReaders[static_cast<size_t>(column)](in, child, record);
    if (!is_read) return in.AddField(plan.node->labels[i]);
  }
  return true;
}

template <class T>
bool ReadAvroInteger(AvroReader& in, const AvroPlan& plan, T& value) {
  int64_t wide = 0;
  if (!(plan.type == AvroType::kInt ? in.ReadInt(wide) : in.ReadLong(wide))) return false;
  value = static_cast<T>(wide);
  return std::in_range<T>(wide) || in.Unfit(absl::StrCat(wide, " does not fit in its member"));
}

// From a number of any type.
template <class T>
bool ReadAvroNumber(AvroReader& in, const AvroPlan& plan, T& value) {
  if (plan.type == AvroType::kDouble) {
    double wide = 0;
    if (!in.ReadDouble(wide)) return false;
    value = static_cast<T>(wide);
    return true;
  }
  if (plan.type == AvroType::kFloat) {
    float narrow = 0;
    if (!in.ReadFloat(narrow)) return false;
    value = narrow;
    return true;
  }
  int64_t integer = 0;
  if (!ReadAvroInteger(in, plan, integer)) return false;
  value = static_cast<T>(integer);
  return true;
}

template <class T>
bool ReadAvroTime(AvroReader& in, const AvroPlan& plan, T& value) {
  int64_t count = 0;
  if (!ReadAvroInteger(in, plan, count)) return false;
  using Rep = typename T::rep;
  Rep units = 0;
  if (__builtin_mul_overflow(count, plan.factor, &units)) {
    return in.Unfit(absl::StrCat("the time ", count, " does not fit in its member"));
  }
  value = T(typename T::duration(units));
  return true;
}

inline bool ReadAvroText(AvroReader& in, const AvroPlan& plan, std::string& value) {
  std::string_view text;
  if (plan.type == AvroType::kEnum) {
    size_t index = 0;
    if (!in.ReadIndex(plan.node->labels.size(), index)) return false;
    text = plan.node->labels[index];
  } else if (plan.type == AvroType::kFixed) {
    if (!in.ReadFixed(plan.node->fixed_size, text)) return false;
  } else if (!in.ReadBytes(text)) {
    return false;
  }
  value = text;
  return true;
}

template <class T>
bool ReadAvroUnion(AvroReader& in, const AvroPlan& plan, T& value) {
  size_t index = 0;
  if (!in.ReadIndex(plan.children.size(), index)) return false;
  const AvroPlan& branch = plan.children[index];
  return branch.mismatch.empty() ? ReadAvro(in, branch, value) : in.Unfit(branch.mismatch);
}

template <class T>
bool ReadAvro(AvroReader& in, const AvroPlan& plan, T& value) {
  if (plan.type == AvroType::kUnion) return ReadAvroUnion(in, plan, value);
  if constexpr (OptionalLike<T>) {
    if (plan.type != AvroType::kNull) return ReadAvro(in, plan, value.emplace());
    value.reset();
    return true;
  } else if constexpr (HasColumns<T>) {
    return ReadAvroRecord(in, plan, value);
  } else if constexpr (MapLike<T>) {
    value.clear();
    return in.ReadItems([&] {
      std::string_view key;
      typename T::mapped_type item{};
      if (!in.ReadBytes(key) || !ReadAvro(in, plan.children[0], item)) return false;
      value.insert_or_assign(std::string(key), std::move(item));
      return true;
    });
  } else if constexpr (SequenceLike<T>) {
    value.clear();
    return in.ReadItems([&] {
      typename T::value_type item{};
      if (!ReadAvro(in, plan.children[0], item)) return false;
      value.push_back(std::move(item));
      return true;
    });
  } else if constexpr (std::is_same_v<T, bool>) {
    return in.ReadBoolean(value);
  } else if constexpr (std::is_integral_v<T>) {
    return ReadAvroInteger(in, plan, value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return ReadAvroNumber(in, plan, value);
  } else if constexpr (ColumnTime<T>) {
    return ReadAvroTime(in, plan, value);
  } else {
    return ReadAvroText(in, plan, value);
  }
}

template <class T>
bool WriteAvro(AvroWriter& out, const AvroPlan& plan, const T& value);

template <class T, auto member>
bool WriteAvroMember(AvroWriter& out, const AvroPlan& plan, const T& record) {
  return WriteAvro(out, plan, record.*member);
}

template <class T, auto... members>
constexpr auto AvroMemberWriters(const ColumnList<members...>&) {
  using Function = bool (*)(AvroWriter&, const AvroPlan&, const T&);
  return std::array<Function, sizeof...(members)>{&WriteAvroMember<T, members>...};
}

template <class T>
bool WriteAvroRecord(AvroWriter& out, const AvroPlan& plan, const T& record) {
  static constexpr auto kWriters = AvroMemberWriters<T>(ColumnsOf<T>());
  for (size_t i = 0; i < plan.children.size(); ++i) {
    if (!kWriters[static_cast<size_t>(plan.columns[i])](out, plan.children[i], record)) {
      return out.AddField(plan.node->labels[i]);
    }
  }
  return true;
}

template <class T>
bool WriteAvroItems(AvroWriter& out, const AvroPlan& plan, const T& items) {
  if (items.size() > 0) out.WriteLong(static_cast<int64_t>(items.size()));
  for (const auto& item : items) {
    if constexpr (MapLike<T>) {
      out.WriteBytes(item.first);
      if (!WriteAvro(out, plan.children[0], item.second)) return false;
    } else if (!WriteAvro<typename T::value_type>(out, plan.children[0], item)) {
      return false;
    }
  }
  out.WriteLong(0);
  return true;
}

template <class T>
bool WriteAvro(AvroWriter& out, const AvroPlan& plan, const T& value) {
  if constexpr (OptionalLike<T>) {
    const size_t branch = value.has_value() ? plan.value_branch : plan.null_branch;
    out.WriteLong(static_cast<int64_t>(branch));
    return !value.has_value() || WriteAvro(out, plan.children[branch], *value);
  } else {
    if (plan.type == AvroType::kUnion) {
      out.WriteLong(static_cast<int64_t>(plan.value_branch));
      return WriteAvro(out, plan.children[plan.value_branch], value);
    }
    if constexpr (HasColumns<T>) {
      return WriteAvroRecord(out, plan, value);
    } else if constexpr (MapLike<T> || SequenceLike<T>) {
      return WriteAvroItems(out, plan, value);
    } else if constexpr (std::is_same_v<T, bool>) {
      out.WriteBoolean(value);
      return true;
    } else if constexpr (std::is_integral_v<T>) {
      const bool fits = plan.type == AvroType::kInt ? std::in_range<int32_t>(value)
                                                    : std::in_range<int64_t>(value);
      if (!fits)
        return out.Unfit(absl::StrCat(value, " does not fit in ", DescribeAvro(*plan.node)));
      out.WriteLong(static_cast<int64_t>(value));
      return true;
    } else if constexpr (std::is_floating_point_v<T>) {
      if (plan.type == AvroType::kFloat) {
        out.WriteFloat(static_cast<float>(value));
      } else {
        out.WriteDouble(value);
      }
      return true;
    } else if constexpr (ColumnTime<T>) {
      return out.WriteTime(plan, static_cast<int64_t>(value.time_since_epoch().count()));
    } else {
      return out.WriteText(plan, value);
    }
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_AVRO_VALUE_H_
