#ifndef HEADWAY_COMM_CODEC_STABLE_KEY_H_
#define HEADWAY_COMM_CODEC_STABLE_KEY_H_

#include <algorithm>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include "comm/codec/fields.h"
#include "comm/codec/shapes.h"
#include "comm/codec/stable_hash.h"

// The equality of keys: an equivalence under which equal keys have equal stable hashes. It compares
// the parts that StableHash hashes, so a NaN equals every NaN, and 0.0 equals -0.0, also within
// pairs, containers and aggregates. The operator== of a program is called for types with a
// HeadwayStableHash of their own, and for no others: an aggregate needs none.

namespace headway {

namespace internal {

template <class T>
bool KeyEquals(const T& a, const T& b);

template <class T, size_t... indices>
bool TuplesEqual(const T& a, const T& b, std::index_sequence<indices...>) {
  using std::get;
  return (KeyEquals(get<indices>(a), get<indices>(b)) && ...);
}

template <class T>
bool FieldsEqual(const T& a, const T& b) {
  return VisitFields(a, [&b](const auto&... of_a) {
    return VisitFields(b, [&](const auto&... of_b) { return (KeyEquals(of_a, of_b) && ...); });
  });
}

template <class T, size_t... indices>
bool VariantsEqual(const T& a, const T& b, std::index_sequence<indices...>) {
  if (a.index() != b.index()) return false;
  return ((a.index() != indices || KeyEquals(*get_if<indices>(&a), *get_if<indices>(&b))) && ...);
}

template <class T>
bool RangesEqual(const T& a, const T& b) {
  using Element = std::remove_cvref_t<decltype(*std::begin(a))>;
  auto equal = [](const Element& x, const Element& y) { return KeyEquals<Element>(x, y); };
  if constexpr (UnorderedLike<T>) {
    return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin(), equal);
  } else {
    return std::equal(std::begin(a), std::end(a), std::begin(b), std::end(b), equal);
  }
}

// The order of the cases is that of HashValue.
template <class T>
bool KeyEquals(const T& a, const T& b) {
  if constexpr (HasMemberHash<T> || HasHashFunction<T>) {
    return static_cast<bool>(a == b);
  } else if constexpr (std::is_floating_point_v<T>) {
    return a == b || (a != a && b != b);
  } else if constexpr (kIsScalar<T>) {
    return a == b;
  } else if constexpr (HasFieldList<T>) {
    return FieldsEqual(a, b);
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    return TuplesEqual(a, b, std::make_index_sequence<std::tuple_size<T>::value>());
  } else if constexpr (ArrayLike<T>) {
    return RangesEqual(a, b);
  } else if constexpr (std::is_empty_v<T>) {
    return true;
  } else if constexpr (DurationLike<T>) {
    return KeyEquals(a.count(), b.count());
  } else if constexpr (TimePointLike<T>) {
    return KeyEquals(a.time_since_epoch(), b.time_since_epoch());
  } else if constexpr (ByteStringLike<T>) {
    return a == b;
  } else if constexpr (OptionalLike<T>) {
    return a.has_value() == b.has_value() && (!a.has_value() || KeyEquals(*a, *b));
  } else if constexpr (VariantLike<T>) {
    return VariantsEqual(a, b, AlternativeIndices(a));
  } else if constexpr (RangeLike<T>) {
    return RangesEqual(a, b);
  } else {
    return FieldsEqual(a, b);
  }
}

template <class T>
void MakeCanonical(T& key);

struct MakeFieldsCanonical {
  template <class... Fields>
  void operator()(Fields&... fields) const {
    (MakeCanonical(fields), ...);
  }
};

template <class T, size_t... indices>
void MakeTupleCanonical(T& key, std::index_sequence<indices...>) {
  using std::get;
  MakeFieldsCanonical()(get<indices>(key)...);
}

template <class T, size_t... indices>
void MakeVariantCanonical(T& key, std::index_sequence<indices...>) {
  ((key.index() == indices ? MakeCanonical(*get_if<indices>(&key)) : void()), ...);
}

// Replaces a key by the representative of its equal keys, so that they are stored as the same
// bytes. Leaves the elements of sets and maps, and types with a hash of their own.
template <class T>
void MakeCanonical(T& key) {
  if constexpr (std::is_const_v<T> || HasMemberHash<T> || HasHashFunction<T>) {
  } else if constexpr (std::is_floating_point_v<T>) {
    if (key == 0) key = 0;
    if (key != key) key = std::numeric_limits<T>::quiet_NaN();
  } else if constexpr (kIsScalar<T>) {
  } else if constexpr (HasFieldList<T>) {
    VisitFields(key, MakeFieldsCanonical());
  } else if constexpr (TupleLike<T> && !ArrayLike<T>) {
    MakeTupleCanonical(key, std::make_index_sequence<std::tuple_size<T>::value>());
  } else if constexpr (std::is_empty_v<T> || StringLike<T> || SetLike<T> || TimePointLike<T>) {
  } else if constexpr (DurationLike<T>) {
    auto count = key.count();
    MakeCanonical(count);
    key = T(count);
  } else if constexpr (OptionalLike<T>) {
    if (key.has_value()) MakeCanonical(*key);
  } else if constexpr (VariantLike<T>) {
    MakeVariantCanonical(key, AlternativeIndices(key));
  } else if constexpr (ArrayLike<T> || RangeLike<T>) {
    for (auto&& element : key) {
      if constexpr (std::is_lvalue_reference_v<decltype(element)>) MakeCanonical(element);
    }
  } else {
    VisitFields(key, MakeFieldsCanonical());
  }
}

// Throws the exception that says that a key does not equal itself.
[[noreturn]] void ThrowUnequalKey();

}  // namespace internal

// T can be the key of state: it has a stable hash, and an equality that agrees with it.
template <class T>
concept StableKey = internal::IsStableHashable<T, /*compared=*/true>();

}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_STABLE_KEY_H_
