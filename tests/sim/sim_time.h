#ifndef HEADWAY_TESTS_SIM_SIM_TIME_H_
#define HEADWAY_TESTS_SIM_SIM_TIME_H_

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "progress/product.h"
#include "progress/timestamp.h"

// The simulator's own times, independent of the engine's. A time of any scope is three numbers;
// coordinates that the scope does not have are 0.

namespace headway::sim {

inline constexpr int kMaxDepth = 3;

struct SimTime {
  std::array<uint32_t, kMaxDepth> at{};

  auto operator<=>(const SimTime&) const = default;  // any total order, for containers

  SimTime Plus(const SimTime& summary) const {
    SimTime sum = *this;
    for (int i = 0; i < kMaxDepth; ++i) sum.at[i] += summary.at[i];
    return sum;
  }
  std::string Format() const {
    return "(" + std::to_string(at[0]) + "," + std::to_string(at[1]) + "," + std::to_string(at[2]) +
           ")";
  }
};

// The partial order of times.
inline bool LessEqual(const SimTime& a, const SimTime& b) {
  return a.at[0] <= b.at[0] && a.at[1] <= b.at[1] && a.at[2] <= b.at[2];
}

using SimFrontier = std::vector<SimTime>;

inline bool LessEqual(const SimFrontier& frontier, const SimTime& time) {
  return std::any_of(frontier.begin(), frontier.end(),
                     [&](const SimTime& element) { return LessEqual(element, time); });
}

// Adds `time` to the minimal elements. Returns true iff that changed them.
inline bool InsertMinimal(SimFrontier& frontier, const SimTime& time) {
  if (LessEqual(frontier, time)) return false;
  std::erase_if(frontier, [&](const SimTime& element) { return LessEqual(time, element); });
  frontier.push_back(time);
  return true;
}

inline std::string Format(const SimFrontier& frontier) {
  std::string text = "{";
  for (const SimTime& time : frontier) text += time.Format();
  return text + "}";
}

// Conversion from and to the engine's times.
template <class T>
struct TimeOf;

template <>
struct TimeOf<Epoch> {
  static constexpr int kDepth = 1;
  static Epoch Make(const SimTime& time) { return time.at[0]; }
  static SimTime Read(const Epoch& time) { return {{static_cast<uint32_t>(time)}}; }
};

template <class Outer>
struct TimeOf<Product<Outer, uint64_t>> {
  static constexpr int kDepth = TimeOf<Outer>::kDepth + 1;
  static Product<Outer, uint64_t> Make(const SimTime& time) {
    return {TimeOf<Outer>::Make(time), time.at[kDepth - 1]};
  }
  static ProductSummary<Outer, uint64_t> MakeSummary(const SimTime& time) {
    if constexpr (kDepth == 2) {
      return {time.at[0], time.at[1]};
    } else {
      return {TimeOf<Outer>::MakeSummary(time), time.at[kDepth - 1]};
    }
  }
  static SimTime Read(const Product<Outer, uint64_t>& time) {
    SimTime read = TimeOf<Outer>::Read(time.outer);
    read.at[kDepth - 1] = static_cast<uint32_t>(time.inner);
    return read;
  }
};

template <class T>
typename TimestampTraits<T>::Summary MakeSummary(const SimTime& time) {
  if constexpr (TimeOf<T>::kDepth == 1) {
    return time.at[0];
  } else {
    return TimeOf<T>::MakeSummary(time);
  }
}

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_SIM_TIME_H_
