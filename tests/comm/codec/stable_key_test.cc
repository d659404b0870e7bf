// The equality of keys: an equivalence, in agreement with StableHash.
#include "comm/codec/stable_key.h"

#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "comm/codec/codec.h"
#include "doctest/doctest.h"

namespace stable_key_test {

using headway::internal::KeyEquals;

struct Point {
  double x = 0;
  std::optional<float> y;
};

struct Nested {
  int id = 0;
  std::vector<Point> points;
  double pair[2] = {};
};

class Private {
 public:
  explicit Private(double value) : value_(value) {}
  HEADWAY_CODEC_FIELDS(Private, value_);

 private:
  double value_;
};

struct Insensitive {
  std::string text;
  uint64_t HeadwayStableHash() const { return headway::StableHash(text.size()); }
  bool operator==(const Insensitive& other) const { return text.size() == other.text.size(); }
};

struct Incomparable {
  std::string text;
  uint64_t HeadwayStableHash() const { return headway::StableHash(text.size()); }
};

// `classes` has sets of values: those of one set are equal, and those of two sets are not.
template <class T>
void CheckClasses(const std::vector<std::vector<T>>& classes) {
  for (size_t i = 0; i < classes.size(); ++i) {
    for (size_t j = 0; j < classes.size(); ++j) {
      for (const T& a : classes[i]) {
        for (const T& b : classes[j]) {
          CAPTURE(i);
          CAPTURE(j);
          CHECK(KeyEquals(a, b) == (i == j));
          if (i == j) CHECK(headway::StableHash(a) == headway::StableHash(b));
        }
      }
    }
  }
}

const double kNaN = std::numeric_limits<double>::quiet_NaN();
const double kOtherNaN = -std::nan("7");

TEST_CASE("all NaN are one key, and so are both zeros") {
  CheckClasses<double>({{kNaN, kOtherNaN}, {0.0, -0.0}, {1.5}, {INFINITY}, {-INFINITY}});
  CheckClasses<float>({{std::nanf(""), -std::nanf("7")}, {0.0F, -0.0F}, {1.5F}});
  CheckClasses<long double>({{std::nanl(""), -std::nanl("7")}, {0.0L, -0.0L}, {1.5L}});
}

TEST_CASE("they are one key within every type that a key can be made of") {
  CheckClasses<std::pair<int, double>>(
      {{{1, kNaN}, {1, kOtherNaN}}, {{2, kNaN}}, {{1, 0.0}, {1, -0.0}}});
  CheckClasses<std::tuple<double, std::string>>(
      {{{kNaN, "a"}, {kOtherNaN, "a"}}, {{kNaN, "b"}}, {{-0.0, "a"}, {0.0, "a"}}});
  CheckClasses<std::optional<double>>({{kNaN, kOtherNaN}, {std::nullopt}, {0.0, -0.0}});
  CheckClasses<std::variant<int, double>>({{kNaN, kOtherNaN}, {0}, {0.0, -0.0}});
  CheckClasses<std::array<double, 2>>({{{kNaN, 0.0}, {kOtherNaN, -0.0}}, {{0.0, kNaN}}});
  CheckClasses<std::vector<float>>({{{NAN, 0.0F}, {-NAN, -0.0F}}, {{NAN}}, {{}}});
  CheckClasses<std::map<int, double>>({{{{1, kNaN}}, {{1, kOtherNaN}}}, {{{2, kNaN}}}});
  CheckClasses<std::unordered_set<double>>({{{kNaN, 0.0}, {-0.0, kOtherNaN}}, {{kNaN, 1.0}}});
  CheckClasses<Point>({{{kNaN, NAN}, {kOtherNaN, -NAN}}, {{kNaN, {}}}, {{0.0, {}}, {-0.0, {}}}});
  CheckClasses<Nested>({{{1, {{kNaN, 1.0F}}, {kNaN, 0}}, {1, {{kOtherNaN, 1.0F}}, {kNaN, -0.0}}},
                        {{1, {{kNaN, 1.0F}}, {0, kNaN}}},
                        {{1, {}, {kNaN, 0}}}});
  CheckClasses<Private>({{Private(kNaN), Private(kOtherNaN)}, {Private(1)}});
  using Seconds = std::chrono::duration<double>;
  CheckClasses<Seconds>({{Seconds(kNaN), Seconds(kOtherNaN)}, {Seconds(0.0), Seconds(-0.0)}});
}

TEST_CASE("durations and times of the system clock are keys, those of a steady clock are none") {
  using std::chrono::milliseconds;
  using std::chrono::system_clock;
  CheckClasses<milliseconds>({{milliseconds(5)}, {milliseconds(6)}});
  CheckClasses<system_clock::time_point>(
      {{system_clock::time_point(milliseconds(5))}, {system_clock::time_point(milliseconds(6))}});
  CHECK(headway::StableHash(milliseconds(5)) == headway::StableHash(5));
  CHECK(headway::StableKey<std::pair<std::string, std::chrono::sys_days>>);
  CHECK_FALSE(headway::StableKey<std::chrono::steady_clock::time_point>);
}

TEST_CASE("a type with a hash of its own is compared by its own operator") {
  CheckClasses<Insensitive>({{{"ab"}, {"cd"}}, {{"abc"}}});
  CHECK(headway::StableKey<std::pair<int, Insensitive>>);
  CHECK(headway::StableHashable<std::vector<Incomparable>>);
  CHECK_FALSE(headway::StableKey<std::vector<Incomparable>>);
}

template <class T>
bool SameBytes(T a, T b) {
  headway::internal::MakeCanonical(a);
  headway::internal::MakeCanonical(b);
  return headway::EncodeToBytes(a) == headway::EncodeToBytes(b);
}

TEST_CASE("the canonical forms of equal keys have the same bytes") {
  CHECK(SameBytes(kNaN, kOtherNaN));
  CHECK(SameBytes(0.0, -0.0));
  CHECK_FALSE(SameBytes(0.0, kNaN));
  CHECK(SameBytes(std::tuple(1, std::optional(kNaN)), std::tuple(1, std::optional(kOtherNaN))));
  CHECK(SameBytes(std::variant<int, double>(-0.0), std::variant<int, double>(0.0)));
  CHECK(SameBytes(Nested{1, {{kNaN, -0.0F}}, {0, 1}}, Nested{1, {{kOtherNaN, 0.0F}}, {-0.0, 1}}));
  CHECK(SameBytes(std::vector<bool>{true, false}, std::vector<bool>{true, false}));
}

}  // namespace stable_key_test
