#ifndef HEADWAY_COMM_CODEC_KIND_H_
#define HEADWAY_COMM_CODEC_KIND_H_

#include <iterator>
#include <type_traits>
#include <utility>

#include "comm/codec/fields.h"
#include "comm/codec/shapes.h"

// Which of the codecs that Headway brings along a type has: KindOf classifies it once, and
// codec_builtin.h has a codec for each kind.

namespace headway {

template <class T>
struct Codec;

namespace internal {

// The encoded bytes are the bytes of the object, and all bytes are valid.
template <class T>
concept Bitwise = requires { requires Codec<T>::kBitwise; };

struct NotBitwiseProbe {
  template <class U>
    requires(!Bitwise<U>)
  operator U() const;
};

enum class CodecKind {
  kNone,
  kFields,  // has a line HEADWAY_CODEC_FIELDS
  kBool,
  kBitwise,
  kEmpty,
  kString,
  kArray,
  kTuple,
  kOptional,
  kVariant,
  kMap,
  kSet,
  kSequence,
  kAggregate,
};

// True if no field of T needs a codec of its own. Looks at the first kAggregateFieldsMax + 1
// fields, which is all of them unless there are too many for kAggregate anyway.
template <class T, int count = 0>
constexpr bool FieldsAreBitwise() {
  if constexpr (count > kAggregateFieldsMax) {
    return true;
  } else if constexpr (!FieldAccepts<T, AnyProbe, count>()) {
    return true;
  } else if constexpr (FieldAccepts<T, NotBitwiseProbe, count>()) {
    return false;
  } else {
    return FieldsAreBitwise<T, count + 1>();
  }
}

template <class T>
constexpr CodecKind KindOfAggregate() {
  return AggregateFields<T>() > 0 ? CodecKind::kAggregate : CodecKind::kNone;
}

template <class T>
constexpr CodecKind KindOfTriviallyCopyable() {
  if constexpr (ViewLike<T> || !std::is_move_assignable_v<T>) {
    return CodecKind::kNone;
  } else if constexpr (!std::is_aggregate_v<T>) {
    return CodecKind::kBitwise;
  } else {
    return FieldsAreBitwise<T>() ? CodecKind::kBitwise : KindOfAggregate<T>();
  }
}

template <class T>
constexpr CodecKind KindOfArray() {
  using Element = std::remove_cvref_t<decltype(*std::begin(std::declval<T&>()))>;
  return Bitwise<Element> ? CodecKind::kBitwise : CodecKind::kArray;
}

template <class T>
constexpr CodecKind KindOfTuple() {
  if constexpr (std::tuple_size<T>::value == 0) {
    return CodecKind::kEmpty;
  } else if constexpr (ArrayLike<T>) {
    return KindOfArray<T>();
  } else {
    return CodecKind::kTuple;
  }
}

template <class T>
constexpr CodecKind KindOfScalar() {
  if constexpr (std::is_same_v<T, bool>) {
    return CodecKind::kBool;
  } else if constexpr (std::is_enum_v<T>) {
    return KindOfScalar<std::underlying_type_t<T>>();
  } else {
    return kIsPointer<T> ? CodecKind::kNone : CodecKind::kBitwise;
  }
}

template <class T>
constexpr CodecKind KindOfClass() {
  if constexpr (HasFieldList<T>) {
    return CodecKind::kFields;
  } else if constexpr (TupleLike<T>) {
    return KindOfTuple<T>();
  } else if constexpr (std::is_empty_v<T> && std::is_trivially_copyable_v<T>) {
    return CodecKind::kEmpty;
  } else if constexpr (StringLike<T>) {
    return CodecKind::kString;
  } else if constexpr (OptionalLike<T>) {
    return CodecKind::kOptional;
  } else if constexpr (VariantLike<T>) {
    return CodecKind::kVariant;
  } else if constexpr (MapLike<T>) {
    return CodecKind::kMap;
  } else if constexpr (SetLike<T>) {
    return CodecKind::kSet;
  } else if constexpr (SequenceLike<T>) {
    return CodecKind::kSequence;
  } else if constexpr (std::is_trivially_copyable_v<T>) {
    return KindOfTriviallyCopyable<T>();
  } else {
    return KindOfAggregate<T>();
  }
}

template <class T>
constexpr CodecKind KindOf() {
  if constexpr (std::is_array_v<T>) {
    return KindOfArray<T>();
  } else if constexpr (kIsScalar<T>) {
    return KindOfScalar<T>();
  } else if constexpr (std::is_class_v<T>) {
    return KindOfClass<T>();
  } else if constexpr (std::is_union_v<T> && std::is_trivially_copyable_v<T>) {
    return FieldsAreBitwise<T>() ? CodecKind::kBitwise : CodecKind::kNone;
  } else {
    return CodecKind::kNone;
  }
}

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_KIND_H_
