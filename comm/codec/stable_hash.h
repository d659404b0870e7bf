#ifndef HEADWAY_COMM_CODEC_STABLE_HASH_H_
#define HEADWAY_COMM_CODEC_STABLE_HASH_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "check.h"
#include "comm/codec/fields.h"
#include "comm/codec/shapes.h"

// A hash of a key that is the same in every process, in every run and on every platform: it decides
// which worker gets the key, and which partition of a recovery store holds its state. A change of
// any value that is documented or tested here would make existing stores unreadable.
//
// - integers, enumerations, bool: by value: an int and an int64_t that are equal hash equal, and
//   char counts as unsigned.
// - float, double: by value; 0.0 and -0.0 hash equal, all NaN do, and a float and an equal double.
// - std::string, std::string_view, string literals: by characters, all three alike.
// - durations and time points of std::chrono: by their count of ticks. The unit does not count, so
//   give both sides of a join the same type. A clock that only one machine has is no key.
// - pair, tuple, array, vector, set, map, optional, variant: by their elements; the order in an
//   unordered container does not count.
// - aggregates: by their fields, if they are as codec.h describes, or by the line
//   HEADWAY_CODEC_FIELDS.
// - other types: by a function next to the type, found by argument-dependent lookup, or a public
//   member. It uses StableHash for the parts; its result is mixed once more.
//     uint64_t HeadwayStableHash(const Type&);
//     uint64_t HeadwayStableHash() const;
//
// Any number of threads may call all functions at once. The hash is not keyed: an attacker who
// chooses the keys can make them collide.

namespace headway {

namespace internal {

// Constants without structure: odd, with half of their bits set.
inline constexpr uint64_t kHashSecret0 = 0x9e3779b97f4a7c15;
inline constexpr uint64_t kHashSecret1 = 0xd1b54a32d192ed03;
inline constexpr uint64_t kHashSecret2 = 0x8cb92ba72f3d8dd7;
inline constexpr uint64_t kHashSecret3 = 0xaef17502108ef2d9;

__extension__ using Uint128 = unsigned __int128;

// Both halves of the product: every bit of the result depends on all bits of both factors.
constexpr uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  const Uint128 product = static_cast<Uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// A permutation of the 64-bit integers, so that different integers never collide. The shifts and
// factors are those of Pelle Evensen's "moremur", a finalizer of the MurmurHash family with good
// high and low bits for sequential integers.
constexpr uint64_t HashInteger(uint64_t value) {
  uint64_t hash = value ^ kHashSecret0;
  hash = (hash ^ (hash >> 27)) * 0x3c79ac492ba7b653;
  hash = (hash ^ (hash >> 33)) * 0x1c69b3f74ac4ae35;
  return hash ^ (hash >> 27);
}

// The hash of a sequence whose hash so far is `hash` and whose next element hashes to `next`. The
// order counts.
constexpr uint64_t CombineHashes(uint64_t hash, uint64_t next) {
  return MultiplyFold(hash ^ kHashSecret1, next ^ kHashSecret2);
}

uint64_t HashBytes(const void* data, size_t size);
// The hash of at most 16 bytes, from the words with which they begin and end.
constexpr uint64_t HashEnds(uint64_t first, uint64_t last, size_t size,
                            uint64_t hash = kHashSecret0) {
  hash = MultiplyFold(first ^ kHashSecret2, last ^ hash);
  return MultiplyFold(hash ^ kHashSecret3, size ^ kHashSecret1);
}
uint64_t HashDouble(double value);

template <class T>
concept HasMemberHash = requires(const T& value) {
  { value.HeadwayStableHash() } -> std::convertible_to<uint64_t>;
};

template <class T>
concept HasHashFunction = requires(const T& value) {
  { HeadwayStableHash(value) } -> std::convertible_to<uint64_t>;
};

// `compared` asks for operator== too, where the hash is the program's own.
template <class T, bool compared = false>
constexpr bool IsStableHashable();

template <class T>
uint64_t HashValue(const T& value);

template <bool compared, class... Ts>
constexpr bool AreStableHashable(TypeList<Ts...>) {
  return (IsStableHashable<std::remove_const_t<Ts>, compared>() && ...);
}

template <class T, bool compared, size_t... indices>
constexpr bool AreElementsStableHashable(std::index_sequence<indices...>) {
  return AreStableHashable<compared>(TypeList<std::tuple_element_t<indices, T>...>());
}

template <bool compared, template <class...> class Variant, class... Ts>
constexpr bool AreAlternativesStableHashable(const Variant<Ts...>*) {
  return AreStableHashable<compared>(TypeList<Ts...>());
}

template <class T>
concept ByteStringLike = StringLike<T> && sizeof(typename T::value_type) == 1;

// The order of the cases is that of HashValue.
template <class T, bool compared>
constexpr bool IsStableHashable() {
  if constexpr (HasMemberHash<T> || HasHashFunction<T>) {
    return !compared || requires(const T& value) {
      { value == value } -> std::convertible_to<bool>;
    };
  } else if constexpr (kIsScalar<T>) {
    return !kIsPointer<T>;
  } else if constexpr (HasFieldList<T>) {
    return true;
  } else if constexpr (std::is_array_v<T>) {
    return IsStableHashable<std::remove_const_t<std::remove_extent_t<T>>, compared>();
  } else if constexpr (TupleLike<T>) {
    if constexpr (ArrayLike<T>) {
      return IsStableHashable<typename T::value_type, compared>();
    } else {
      return AreElementsStableHashable<T, compared>(
          std::make_index_sequence<std::tuple_size<T>::value>());
    }
  } else if constexpr (std::is_empty_v<T>) {
    return std::is_trivially_copyable_v<T>;
  } else if constexpr (DurationLike<T>) {
    return IsStableHashable<typename T::rep, compared>();
  } else if constexpr (TimePointLike<T>) {
    return IsStableHashable<typename T::duration, compared>();
  } else if constexpr (ByteStringLike<T>) {
    return true;
  } else if constexpr (OptionalLike<T> || RangeLike<T>) {
    return IsStableHashable<typename T::value_type, compared>();
  } else if constexpr (VariantLike<T>) {
    return AreAlternativesStableHashable<compared>(static_cast<const T*>(nullptr));
  } else if constexpr (AggregateFields<T>() > 0) {
    return AreStableHashable<compared>(FieldTypes<T>());
  } else {
    return false;
  }
}

template <class T>
uint64_t HashScalar(T value) {
  if constexpr (std::is_enum_v<T>) {
    return HashScalar(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return HashDouble(static_cast<double>(value));
  } else if constexpr (std::is_same_v<T, char> || std::is_same_v<T, wchar_t>) {
    return HashInteger(static_cast<std::make_unsigned_t<T>>(value));  // signed on some platforms
  } else if constexpr (kIsInt128<T>) {
    const auto low = static_cast<uint64_t>(value);
    const auto high = static_cast<uint64_t>(value >> 64);
    // Equal to the hash of the same value in 64 bits, if it fits.
    const bool fits = high == 0 || (high == ~uint64_t{0} && static_cast<int64_t>(low) < 0);
    return fits ? HashInteger(low) : CombineHashes(HashInteger(low), HashInteger(high));
  } else {
    return HashInteger(static_cast<uint64_t>(value));
  }
}

struct CombineHashesOf {
  template <class... Ts>
  uint64_t operator()(const Ts&... values) const {
    uint64_t hash = HashInteger(sizeof...(Ts));
    ((hash = CombineHashes(hash, HashValue(values))), ...);
    return hash;
  }
};

template <class T, size_t... indices>
uint64_t HashTuple(const T& value, std::index_sequence<indices...>) {
  using std::get;
  return CombineHashesOf()(get<indices>(value)...);
}

template <class T, size_t... indices>
uint64_t HashVariant(const T& value, std::index_sequence<indices...>) {
  uint64_t hash = HashInteger(value.index());
  ((value.index() == indices ? void(hash = CombineHashes(hash, HashValue(*get_if<indices>(&value))))
                             : void()),
   ...);
  return hash;
}

template <template <class...> class Variant, class... Ts>
constexpr auto AlternativeIndices(const Variant<Ts...>&) {
  return std::index_sequence_for<Ts...>();
}

template <class T>
uint64_t HashRange(const T& range, size_t size) {
  uint64_t hash = HashInteger(size);
  if constexpr (UnorderedLike<T>) {
    uint64_t sum = 0;  // does not depend on the order
    for (const auto& element : range) sum += HashValue(element);
    return CombineHashes(hash, HashInteger(sum));
  } else {
    for (const auto& element : range) {
      hash = CombineHashes(hash, HashValue<std::remove_cvref_t<decltype(element)>>(element));
    }
    return hash;
  }
}

template <class T>
uint64_t HashValue(const T& value) {
  if constexpr (HasMemberHash<T>) {
    return HashInteger(value.HeadwayStableHash());
  } else if constexpr (HasHashFunction<T>) {
    return HashInteger(HeadwayStableHash(value));
  } else if constexpr (kIsScalar<T>) {
    return HashScalar(value);
  } else if constexpr (HasFieldList<T>) {
    return VisitFields(value, CombineHashesOf());
  } else if constexpr (std::is_array_v<T>) {
    return HashRange(value, std::extent_v<T>);
  } else if constexpr (TupleLike<T>) {
    if constexpr (ArrayLike<T>) {
      return HashRange(value, std::tuple_size<T>::value);
    } else {
      return HashTuple(value, std::make_index_sequence<std::tuple_size<T>::value>());
    }
  } else if constexpr (std::is_empty_v<T>) {
    return HashInteger(0);
  } else if constexpr (DurationLike<T>) {
    return HashValue(value.count());
  } else if constexpr (TimePointLike<T>) {
    return HashValue(value.time_since_epoch());
  } else if constexpr (ByteStringLike<T>) {
    return HashBytes(value.data(), value.size());
  } else if constexpr (OptionalLike<T>) {
    return value.has_value() ? CombineHashes(HashInteger(1), HashValue(*value)) : HashInteger(0);
  } else if constexpr (VariantLike<T>) {
    return HashVariant(value, AlternativeIndices(value));
  } else if constexpr (RangeLike<T>) {
    return HashRange(value, value.size());
  } else {
    return VisitFields(value, CombineHashesOf());
  }
}

}  // namespace internal

// T can be the key of an exchange.
template <class T>
concept StableHashable = internal::IsStableHashable<T>();

// The stable hash of `value`. Its high bits are as good as its low ones: RouteHash uses the high
// bits, so that a hash table on a worker may use the low ones.
template <class T>
uint64_t StableHash(const T& value) {
  constexpr bool kHasStableHash = StableHashable<T>;
  static_assert(
      kHasStableHash,
      "this key type routes an exchange and needs a stable hash: use numbers, strings, or std "
      "types "
      "and aggregates of them, or write uint64_t HeadwayStableHash(const Type&) next to the type");
  if constexpr (kHasStableHash) {
    return internal::HashValue(value);
  } else {
    return 0;
  }
}

// The hash of a string literal is that of the std::string; it ends at the first NUL.
template <size_t size>
uint64_t StableHash(const char (&literal)[size]) {
  const std::string_view characters(literal, size);
  return StableHash(characters.substr(0, characters.find('\0')));
}

// Returns the target of a hash, in [0, targets), of one or more. Targets have equal ranges of the
// hash, so the result depends on its high bits alone.
inline int RouteHash(uint64_t hash, int targets) {
  HEADWAY_DCHECK(targets >= 1);
  if (targets == 2) return static_cast<int>(hash >> 63);  // the same, without a product
  return static_cast<int>((static_cast<internal::Uint128>(hash) * static_cast<uint64_t>(targets)) >>
                          64);
}

}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_STABLE_HASH_H_
