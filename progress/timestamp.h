#ifndef HEADWAY_PROGRESS_TIMESTAMP_H_
#define HEADWAY_PROGRESS_TIMESTAMP_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

// The requirements on a type of logical times.
//
// Times are partially ordered. A *path summary* defines how a path through the dataflow graph
// advances times. Summaries compose along a path. A type must obey these laws (G1 of the verified
// protocol); neither the compiler nor the library checks them:
//
//   ResultsIn(t, Identity()) == t
//   ResultsIn(ResultsIn(t, a), b) == ResultsIn(t, FollowedBy(a, b))
//   t <= ResultsIn(t, s)
//   t <= u implies ResultsIn(t, s) <= ResultsIn(u, s)
//
// A time that would overflow (nullopt) counts as later than every other time. For a type without
// padding, two times are equal only if their bytes are equal: a default operator== has this
// property.
//
// A user's type is a timestamp if it has these members, to which TimestampTraits delegates:
//
//   struct Version {
//     uint32_t major = 0;
//     uint32_t minor = 0;
//
//     struct Summary {  // how an edge advances a version
//       uint32_t major = 0;
//       uint32_t minor = 0;
//     };
//     static constexpr bool kTotallyOrdered = false;
//     static constexpr int kDepth = 1;  // optional, 1 when absent
//     static Version Minimum();
//     bool LessEqual(const Version& other) const;
//     bool TotalLess(const Version& other) const;  // only if it is not totally ordered
//     static Summary Identity();
//     std::optional<Version> ResultsIn(const Summary& summary) const;
//     static std::optional<Summary> FollowedBy(const Summary& first, const Summary& second);
//     static std::optional<int> StrictDepth(const Summary& summary);
//     std::string Format() const;
//     bool operator==(const Version&) const = default;
//   };
//
// Source: Murray et al., "Naiad: A Timely Dataflow System", SOSP 2013.

namespace headway {

// The time of a root scope. Counts up from 0.
using Epoch = uint64_t;

// The largest timestamp, in bytes. Scopes that nest deeper than this allows need smaller inner
// times.
inline constexpr size_t kMaxTimestampBytes = 32;

// The operations of a timestamp type. Specialize it for a type whose members you cannot change.
template <class T>
struct TimestampTraits {};

template <class T>
  requires requires { typename T::Summary; }
struct TimestampTraits<T> {
  using Summary = typename T::Summary;

  // True iff every two times are comparable. Totally ordered times take a fast path everywhere.
  static constexpr bool kTotallyOrdered = T::kTotallyOrdered;

  // The number of coordinates: one for each nesting level.
  static constexpr int kDepth = [] {
    if constexpr (requires { T::kDepth; }) {
      return T::kDepth;
    } else {
      return 1;
    }
  }();

  // The time that is less than or equal to every other.
  static T Minimum() { return T::Minimum(); }

  // The partial order.
  static bool LessEqual(const T& a, const T& b) { return a.LessEqual(b); }

  // A strict total order that extends the partial one, for sorting.
  static bool TotalLess(const T& a, const T& b) {
    if constexpr (kTotallyOrdered) {
      return !b.LessEqual(a);
    } else {
      return a.TotalLess(b);
    }
  }

  // The summary that changes nothing.
  static Summary Identity() { return T::Identity(); }

  // `time` advanced by `summary`; nullopt if it would overflow.
  static std::optional<T> ResultsIn(const T& time, const Summary& summary) {
    return time.ResultsIn(summary);
  }

  // The summary of a path: `first`, then `second`; nullopt if every time would overflow.
  static std::optional<Summary> FollowedBy(const Summary& first, const Summary& second) {
    return T::FollowedBy(first, second);
  }

  // The smallest coordinate, from 0 (the root scope's) to kDepth - 1, in which every time strictly
  // advances; nullopt if some time may stay unchanged.
  static std::optional<int> StrictDepth(const Summary& summary) { return T::StrictDepth(summary); }

  // A text for messages.
  static std::string Format(const T& time) { return time.Format(); }
};

template <>
struct TimestampTraits<Epoch> {
  using Summary = uint64_t;  // the increment
  static constexpr bool kTotallyOrdered = true;
  static constexpr int kDepth = 1;
  static Epoch Minimum() { return 0; }
  static bool LessEqual(Epoch a, Epoch b) { return a <= b; }
  static bool TotalLess(Epoch a, Epoch b) { return a < b; }
  static Summary Identity() { return 0; }
  static std::optional<Epoch> ResultsIn(Epoch time, Summary summary) {
    Epoch sum;
    if (__builtin_add_overflow(time, summary, &sum)) return std::nullopt;
    return sum;
  }
  static std::optional<Summary> FollowedBy(Summary first, Summary second) {
    return ResultsIn(first, second);
  }
  static std::optional<int> StrictDepth(Summary summary) {
    return summary == 0 ? std::nullopt : std::optional<int>(0);
  }
  static std::string Format(Epoch time) { return std::to_string(time); }
};

// A type that can be the time of a scope. Workers exchange times as bytes, so they must not contain
// pointers.
template <class T>
concept Timestamp =
    std::is_trivially_copyable_v<T> && std::default_initializable<T> &&
    std::equality_comparable<T> && sizeof(T) <= kMaxTimestampBytes && alignof(T) <= 8 &&
    requires(const T& time, const typename TimestampTraits<T>::Summary& summary) {
      { TimestampTraits<T>::kTotallyOrdered } -> std::convertible_to<bool>;
      { TimestampTraits<T>::kDepth } -> std::convertible_to<int>;
      { TimestampTraits<T>::Minimum() } -> std::same_as<T>;
      { TimestampTraits<T>::LessEqual(time, time) } -> std::same_as<bool>;
      { TimestampTraits<T>::TotalLess(time, time) } -> std::same_as<bool>;
      { TimestampTraits<T>::Identity() } -> std::same_as<typename TimestampTraits<T>::Summary>;
      { TimestampTraits<T>::ResultsIn(time, summary) } -> std::same_as<std::optional<T>>;
      {
        TimestampTraits<T>::FollowedBy(summary, summary)
      } -> std::same_as<std::optional<typename TimestampTraits<T>::Summary>>;
      { TimestampTraits<T>::StrictDepth(summary) } -> std::same_as<std::optional<int>>;
      { TimestampTraits<T>::Format(time) } -> std::same_as<std::string>;
    };

static_assert(Timestamp<Epoch>);

}  // namespace headway

#endif  // HEADWAY_PROGRESS_TIMESTAMP_H_
