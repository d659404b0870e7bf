#ifndef HEADWAY_COMM_CODEC_CODEC_CHECK_H_
#define HEADWAY_COMM_CODEC_CODEC_CHECK_H_

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "comm/codec/builtin.h"
#include "comm/codec/fields.h"
#include "comm/codec/shapes.h"

// The errors of the compiler for types without a codec. Include codec.h and not this file.

namespace headway::internal {

// Member `number` of a record, counted from 1, of type T. For the output of the compiler.
template <int number, class T>
struct Member {};

// Each function is instantiated at once, since its result type is deduced: its static_assert comes
// before errors of the functions that use the codec.

template <class T>
constexpr auto CheckCodec();

// Fails to compile for a type whose parts do not explain why it has no codec.
template <class T>
constexpr auto FailWithoutCodec() {
  constexpr bool kRefers = kIsPointer<T> || ViewLike<T> || (StringLike<T> && !CanDecode<T>);
  constexpr bool kHasTooMuch = std::is_aggregate_v<T> && !std::is_union_v<T>;
  constexpr bool kIsReceived = !CanEncode<T> || std::default_initializable<T>;
  static_assert(!kRefers,
                "this record type crosses an exchange and needs a Codec: a pointer or a view has "
                "none, since the receiver would not own its target; use a std::string, a "
                "std::vector or a value");
  static_assert(kRefers || !kHasTooMuch,
                "this record type crosses an exchange and needs a Codec: an aggregate has one if "
                "it has up to 64 plain fields and no base class with members; write "
                "HEADWAY_CODEC_FIELDS(Type, members...) with the members of the base class too");
  static_assert(kRefers || kHasTooMuch || kIsReceived,
                "this record type crosses an exchange and needs a Codec: it needs a default "
                "constructor too, since a record is constructed before it is decoded");
  static_assert(kRefers || kHasTooMuch || !kIsReceived,
                "this record type crosses an exchange and needs a Codec: make it trivially "
                "copyable or an aggregate of types that have one, write "
                "HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
  return true;
}

// The part of Record that Part names.
template <class Record, class Part>
constexpr auto CheckCodecOf();
template <class Record, class T>
constexpr auto CheckPart(const T*) {
  return CheckCodec<T>();
}
template <class Record, int number, class T>
constexpr auto CheckPart(const Member<number, T>*) {
  return CheckCodec<T>();
}
template <class Record, class Part>
constexpr auto CheckCodecOf() {
  return CheckPart<Record>(static_cast<const Part*>(nullptr));
}

template <class Record, class... Ts, size_t... indices>
constexpr auto CheckCodecsOf(TypeList<Ts...>, std::index_sequence<indices...>) {
  return (CheckCodecOf<Record, Member<static_cast<int>(indices) + 1, std::remove_const_t<Ts>>>() &&
          ...);
}
template <class Record, class... Ts>
constexpr auto CheckCodecsOf(TypeList<Ts...> types) {
  return CheckCodecsOf<Record>(types, std::index_sequence_for<Ts...>());
}
template <class T, size_t... indices>
TypeList<std::tuple_element_t<indices, T>...> ElementTypes(std::index_sequence<indices...>);
template <template <class...> class Variant, class... Ts>
TypeList<Ts...> AlternativeTypes(const Variant<Ts...>*);

// Returns true. Fails to compile if T has no codec, with a sentence about the innermost part of T
// that has none.
template <class T>
constexpr auto CheckCodec() {
  if constexpr (CanEncode<T> && CanDecode<T>) {
    return true;
  } else if constexpr (std::is_array_v<T>) {
    return CheckCodecOf<T, std::remove_cv_t<std::remove_extent_t<T>>>();
  } else if constexpr (!std::is_class_v<T> || ViewLike<T> || StringLike<T>) {
    return FailWithoutCodec<T>();
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    using Elements = decltype(ElementTypes<T>(std::make_index_sequence<std::tuple_size_v<T>>()));
    return CheckCodecsOf<T>(Elements());
  } else if constexpr (VariantLike<T>) {
    return CheckCodecsOf<T>(decltype(AlternativeTypes(static_cast<const T*>(nullptr)))());
  } else if constexpr (MapLike<T>) {
    return CheckCodecOf<T, typename T::key_type>() && CheckCodecOf<T, typename T::mapped_type>();
  } else if constexpr (OptionalLike<T> || RangeLike<T>) {
    return CheckCodecOf<T, std::remove_const_t<typename T::value_type>>();
  } else if constexpr (AggregateFields<T>() > 0) {
    return CheckCodecsOf<T>(FieldTypes<T>());
  } else {
    return FailWithoutCodec<T>();
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_COMM_CODEC_CODEC_CHECK_H_
