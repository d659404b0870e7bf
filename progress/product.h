#ifndef HEADWAY_PROGRESS_PRODUCT_H_
#define HEADWAY_PROGRESS_PRODUCT_H_

#include <optional>
#include <string>

#include "progress/timestamp.h"

namespace headway {

// The time of a nested scope: its parent's time and a coordinate of its own, such as the round of
// an iteration. The order is that of both coordinates: (1, 4) and (2, 3) are incomparable.
template <class Outer, class Inner>
struct Product {
  Outer outer;
  Inner inner;

  bool operator==(const Product&) const = default;
};

// How a path in a nested scope advances each coordinate. A feedback edge of an iteration over Epoch
// is {0, 1}.
template <class Outer, class Inner>
struct ProductSummary {
  typename TimestampTraits<Outer>::Summary outer;
  typename TimestampTraits<Inner>::Summary inner;

  bool operator==(const ProductSummary&) const = default;
};

template <class Outer, class Inner>
struct TimestampTraits<Product<Outer, Inner>> {
  using T = Product<Outer, Inner>;
  using OuterTraits = TimestampTraits<Outer>;
  using InnerTraits = TimestampTraits<Inner>;
  using Summary = ProductSummary<Outer, Inner>;

  static constexpr bool kTotallyOrdered = false;
  static constexpr int kDepth = OuterTraits::kDepth + InnerTraits::kDepth;

  static T Minimum() { return {OuterTraits::Minimum(), InnerTraits::Minimum()}; }

  static bool LessEqual(const T& a, const T& b) {
    return OuterTraits::LessEqual(a.outer, b.outer) && InnerTraits::LessEqual(a.inner, b.inner);
  }

  static bool TotalLess(const T& a, const T& b) {
    if (a.outer == b.outer) return InnerTraits::TotalLess(a.inner, b.inner);
    return OuterTraits::TotalLess(a.outer, b.outer);
  }

  static Summary Identity() { return {OuterTraits::Identity(), InnerTraits::Identity()}; }

  static std::optional<T> ResultsIn(const T& time, const Summary& summary) {
    const std::optional<Outer> outer = OuterTraits::ResultsIn(time.outer, summary.outer);
    const std::optional<Inner> inner = InnerTraits::ResultsIn(time.inner, summary.inner);
    if (!outer.has_value() || !inner.has_value()) return std::nullopt;
    return T{*outer, *inner};
  }

  static std::optional<Summary> FollowedBy(const Summary& first, const Summary& second) {
    const auto outer = OuterTraits::FollowedBy(first.outer, second.outer);
    const auto inner = InnerTraits::FollowedBy(first.inner, second.inner);
    if (!outer.has_value() || !inner.has_value()) return std::nullopt;
    return Summary{*outer, *inner};
  }

  static std::optional<int> StrictDepth(const Summary& summary) {
    if (const std::optional<int> depth = OuterTraits::StrictDepth(summary.outer)) return depth;
    if (const std::optional<int> depth = InnerTraits::StrictDepth(summary.inner)) {
      return OuterTraits::kDepth + *depth;
    }
    return std::nullopt;
  }

  static std::string Format(const T& time) {
    std::string text = "(";
    text += OuterTraits::Format(time.outer);
    text += ", ";
    text += InnerTraits::Format(time.inner);
    text += ")";
    return text;
  }
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_PRODUCT_H_
