#ifndef HEADWAY_TESTS_PROGRESS_VERSION_H_
#define HEADWAY_TESTS_PROGRESS_VERSION_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "progress/timestamp.h"

namespace headway::progress_test {

// A user's own timestamp: partially ordered by two numbers, of four bytes together.
struct Version {
  uint16_t major = 0;
  uint16_t minor = 0;

  struct Summary {
    uint16_t major = 0;
    uint16_t minor = 0;
  };

  static constexpr bool kTotallyOrdered = false;
  static Version Minimum() { return {}; }
  bool LessEqual(const Version& v) const { return major <= v.major && minor <= v.minor; }
  bool TotalLess(const Version& v) const {
    return major != v.major ? major < v.major : minor < v.minor;
  }
  static Summary Identity() { return {}; }
  std::optional<Version> ResultsIn(const Summary& s) const {
    const int next_major = major + s.major;
    const int next_minor = minor + s.minor;
    constexpr int kMax = std::numeric_limits<uint16_t>::max();
    if (next_major > kMax || next_minor > kMax) return std::nullopt;
    return Version{static_cast<uint16_t>(next_major), static_cast<uint16_t>(next_minor)};
  }
  static std::optional<Summary> FollowedBy(const Summary& a, const Summary& b) {
    const std::optional<Version> sum = Version{a.major, a.minor}.ResultsIn(b);
    if (!sum.has_value()) return std::nullopt;
    return Summary{sum->major, sum->minor};
  }
  static std::optional<int> StrictDepth(const Summary& s) {
    return s.major > 0 || s.minor > 0 ? std::optional<int>(0) : std::nullopt;
  }
  std::string Format() const { return std::to_string(major) + "." + std::to_string(minor); }
  bool operator==(const Version&) const = default;
};

static_assert(Timestamp<Version>);

}  // namespace headway::progress_test

#endif  // HEADWAY_TESTS_PROGRESS_VERSION_H_
