#ifndef HEADWAY_COMM_CODEC_SHAPES_H_
#define HEADWAY_COMM_CODEC_SHAPES_H_

#include <concepts>
#include <type_traits>
#include <utility>

// Recognizes containers by their operations and not by their names. So containers of std, of Abseil
// and of a program are treated alike, and none of their headers is included here.

namespace headway::internal {

template <class T>
concept StringLike = requires(const T& value) {
  typename T::traits_type;
  typename T::value_type;
  value.data();
  value.size();
};

template <class T>
concept TupleLike = requires { std::tuple_size<T>::value; };

template <class T>
concept ArrayLike =
    std::is_array_v<T> || (TupleLike<T> && requires(const T& value) { value.data(); });

template <class T>
concept OptionalLike = requires(T& value) {
  typename T::value_type;
  value.reset();
  value.emplace();
  { value.has_value() } -> std::same_as<bool>;
  *value;
};

// A length of time of std::chrono.
template <class T>
concept DurationLike = requires(const T& value) {
  typename T::rep;
  typename T::period;
  { value.count() } -> std::same_as<typename T::rep>;
};

// A time that means the same on every machine, which that of a steady clock does not.
template <class T>
concept TimePointLike = requires(const T& value) {
  typename T::clock;
  { value.time_since_epoch() } -> std::same_as<typename T::duration>;
} && DurationLike<typename T::duration> && !requires { requires T::clock::is_steady; };

template <class T>
concept VariantLike = requires(const T& value) {
  value.index();
  { value.valueless_by_exception() } -> std::same_as<bool>;
};

template <class T>
concept RangeLike = requires(const T& value) {
  typename T::value_type;
  value.begin();
  value.end();
  value.size();
};

template <class T>
concept SetLike = RangeLike<T> && requires { typename T::key_type; };

template <class T>
concept MapLike = SetLike<T> && requires { typename T::mapped_type; };

template <class T>
concept UnorderedLike = SetLike<T> && requires { typename T::hasher; };

template <class T>
concept SequenceLike =
    RangeLike<T> && !StringLike<T> && requires(T& value) { value.emplace_back(); };

// A pointer into memory that something else owns, such as std::span.
template <class T>
concept ViewLike = std::is_trivially_copyable_v<T> && !ArrayLike<T> && requires(const T& value) {
  value.data();
  value.size();
};

// Numbers, enumerations and pointers; __int128 is a number in name only.
template <class T>
inline constexpr bool kIsInt128 =
    !std::is_class_v<T> && sizeof(T) == 16 && requires(T value) { value % value; };

template <class T>
inline constexpr bool kIsScalar = std::is_scalar_v<T> || kIsInt128<T>;

template <class T>
inline constexpr bool kIsPointer =
    std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>;

}  // namespace headway::internal

#endif  // HEADWAY_COMM_CODEC_SHAPES_H_
