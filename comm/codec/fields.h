#ifndef HEADWAY_COMM_CODEC_FIELDS_H_
#define HEADWAY_COMM_CODEC_FIELDS_H_

#include <cstddef>
#include <type_traits>
#include <utility>

#include "comm/codec/field_lists.h"

// The fields of a record type, for code that handles them one by one: Codec and StableHash. Fields
// come from one line, HEADWAY_CODEC_FIELDS, or for an aggregate from the language: the number of
// initializers that it takes counts them, and a structured binding names them.

// Names the members of `Type` that make up its value. Written inside the class, in its public
// section, it may name private members; written after the class, in the namespace of the class, it
// serves types that cannot be changed.
//
//   class Point {
//    public:
//     HEADWAY_CODEC_FIELDS(Point, x_, y_);
#define HEADWAY_CODEC_FIELDS(Type, ...)                                                   \
  [[maybe_unused]] inline auto HeadwayCodecFields(::headway::internal::FieldsTag<Type>) { \
    return ::headway::internal::FieldList<HEADWAY_INTERNAL_EXPAND(                        \
        HEADWAY_INTERNAL_MEMBERS(Type, __VA_ARGS__))>();                                  \
  }                                                                                       \
  static_assert(true, "for the semicolon")

// Members(Type, a, b) is &Type::a, &Type::b. A macro does not expand within itself, so each further
// member waits for one more scan of the text, of which Expand makes 4^4.
#define HEADWAY_INTERNAL_MEMBERS(Type, member, ...) \
  &Type::member __VA_OPT__(, HEADWAY_INTERNAL_MORE HEADWAY_INTERNAL_PARENS(Type, __VA_ARGS__))
#define HEADWAY_INTERNAL_MORE() HEADWAY_INTERNAL_MEMBERS
#define HEADWAY_INTERNAL_PARENS ()
#define HEADWAY_INTERNAL_EXPAND(...) \
  HEADWAY_INTERNAL_EXPAND3(          \
      HEADWAY_INTERNAL_EXPAND3(HEADWAY_INTERNAL_EXPAND3(HEADWAY_INTERNAL_EXPAND3(__VA_ARGS__))))
#define HEADWAY_INTERNAL_EXPAND3(...) \
  HEADWAY_INTERNAL_EXPAND2(           \
      HEADWAY_INTERNAL_EXPAND2(HEADWAY_INTERNAL_EXPAND2(HEADWAY_INTERNAL_EXPAND2(__VA_ARGS__))))
#define HEADWAY_INTERNAL_EXPAND2(...) \
  HEADWAY_INTERNAL_EXPAND1(           \
      HEADWAY_INTERNAL_EXPAND1(HEADWAY_INTERNAL_EXPAND1(HEADWAY_INTERNAL_EXPAND1(__VA_ARGS__))))
#define HEADWAY_INTERNAL_EXPAND1(...) __VA_ARGS__

namespace headway::internal {

template <class T>
struct FieldsTag {};  // names T exactly: a derived class does not inherit the line of its base

template <auto... members>
struct FieldList {};

template <class... Ts>
struct TypeList {};

template <class T>
concept HasMemberFieldList = requires(T& record) { record.HeadwayCodecFields(FieldsTag<T>()); };

template <class T>
concept HasFieldList = HasMemberFieldList<T> || requires { HeadwayCodecFields(FieldsTag<T>()); };

template <class T>
auto FieldListOf() {
  if constexpr (HasMemberFieldList<T>) {
    return decltype(std::declval<T&>().HeadwayCodecFields(FieldsTag<T>()))();
  } else {
    return decltype(HeadwayCodecFields(FieldsTag<T>()))();
  }
}

// An initializer that converts to anything, and one that converts to a base class of T only.
struct AnyProbe {
  template <class U>
  operator U() const;
};
template <class T>
struct BaseProbe {
  template <class U>
    requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>)
  operator U() const;
};

// The same for base classes without members.
template <class T>
struct EmptyBaseProbe {
  template <class U>
    requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T> && std::is_empty_v<U>)
  operator U() const;
};

inline constexpr int kAggregateFieldsMax = 64;

// True if the initializer after the first `count` may be a Probe. A pair of braces stands for
// exactly one field, whatever its type; other initializers may spread over the elements of an
// array.
template <class T, class Probe, int count>
constexpr bool FieldAccepts() {
  if constexpr (count == 0) {
    return requires { T{Probe()}; };
  }
// NOLINTBEGIN(bugprone-macro-parentheses): a part of a list of initializers or names
#define HEADWAY_INTERNAL_CASE(n)                                 \
  else if constexpr (count == n) {                               \
    return requires { T{HEADWAY_INTERNAL_BRACES_##n Probe()}; }; \
  }
  // NOLINTEND(bugprone-macro-parentheses)
  HEADWAY_INTERNAL_FOR_EACH_COUNT(HEADWAY_INTERNAL_CASE)
#undef HEADWAY_INTERNAL_CASE
}

// True if T takes at least `count` initializers, one for each base class and field.
template <class T, int count>
constexpr bool HasFields() {
  if constexpr (count == 0) {
    return true;
  }
// NOLINTBEGIN(bugprone-macro-parentheses): a part of a list of initializers or names
#define HEADWAY_INTERNAL_CASE(n)                         \
  else if constexpr (count == n) {                       \
    return requires { T{HEADWAY_INTERNAL_BRACES_##n}; }; \
  }
  // NOLINTEND(bugprone-macro-parentheses)
  HEADWAY_INTERNAL_FOR_EACH_COUNT(HEADWAY_INTERNAL_CASE)
#undef HEADWAY_INTERNAL_CASE
  else {
    return false;
  }
}

template <class T, int count = 0>
constexpr int CountFields() {
  if constexpr (HasFields<T, count + 1>()) {
    return CountFields<T, count + 1>();
  } else {
    return count;
  }
}

// The number of base classes, which come before the fields; -1 if one of them may have members.
template <class T, int count = 0>
constexpr int CountEmptyBases() {
  if constexpr (count >= kAggregateFieldsMax || !FieldAccepts<T, BaseProbe<T>, count>()) {
    return count;
  } else if constexpr (FieldAccepts<T, EmptyBaseProbe<T>, count>()) {
    return CountEmptyBases<T, count + 1>();
  } else {
    return -1;
  }
}

// The number of fields of an aggregate; 0 when a structured binding cannot name them all: there are
// none or too many, a base class has members, or a field has no implicit default.
template <class T>
constexpr int AggregateFields() {
  if constexpr (!std::is_aggregate_v<T> || std::is_union_v<T> || std::is_array_v<T>) {
    return 0;
  } else {
    constexpr int kBases = CountEmptyBases<T>();
    constexpr int kCount = CountFields<T>();
    return kBases < 0 || FieldAccepts<T, AnyProbe, kCount>() ? 0 : kCount - kBases;
  }
}

template <class T, class Visitor, auto... members>
decltype(auto) VisitFieldList(T& record, Visitor&& visitor, FieldList<members...>) {
  return visitor(record.*members...);
}

// Returns visitor(fields...) with references to the fields of `record`, which must have a field
// list or AggregateFields.
template <class T, class Visitor>
decltype(auto) VisitFields(T& record, Visitor&& visitor) {
  using Record = std::remove_const_t<T>;
  if constexpr (HasFieldList<Record>) {
    return VisitFieldList(record, visitor, FieldListOf<Record>());
  } else {
    constexpr int kCount = AggregateFields<Record>();
    static_assert(kCount >= 1 && kCount <= kAggregateFieldsMax);
    if constexpr (kCount == 0) {
    }
// NOLINTBEGIN(bugprone-macro-parentheses): a part of a list of initializers or names
#define HEADWAY_INTERNAL_CASE(n)                 \
  else if constexpr (kCount == n) {              \
    auto& [HEADWAY_INTERNAL_NAMES_##n] = record; \
    return visitor(HEADWAY_INTERNAL_NAMES_##n);  \
  }
    // NOLINTEND(bugprone-macro-parentheses)
    HEADWAY_INTERNAL_FOR_EACH_COUNT(HEADWAY_INTERNAL_CASE)
#undef HEADWAY_INTERNAL_CASE
  }
}

struct FieldTypesVisitor {
  template <class... Fields>
  TypeList<Fields...> operator()(Fields&...) const {
    return {};
  }
};

// TypeList of the types of the fields of T.
template <class T>
using FieldTypes = decltype(VisitFields(std::declval<T&>(), FieldTypesVisitor()));

}  // namespace headway::internal

#endif  // HEADWAY_COMM_CODEC_FIELDS_H_
