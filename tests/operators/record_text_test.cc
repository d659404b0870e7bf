// The text of records, as sinks print them.
#include "operators/record_text.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "tests/comm/test_seed.h"

namespace record_text_test {

struct Money {
  int64_t cents = 0;
};
std::string ToString(const Money& money) { return std::to_string(money.cents) + "c"; }

struct Unprintable {
  int x = 0;
};
enum Color { kRed, kGreen };
enum class Strict { kOne };

template <class T>
std::string Text(const T& value) {
  std::string text;
  headway::internal::AppendText(text, value);
  return text;
}

TEST_CASE("a number is the shortest text that reads back as the same number") {
  CHECK(Text(1234567.89) == "1234567.89");
  CHECK(Text(0.1 + 0.2) == "0.30000000000000004");
  CHECK(Text(123456789012.0) == "123456789012");
  CHECK(Text(16777217.0) == "16777217");
  CHECK(Text(1e-7) == "1e-07");
  CHECK(Text(0.1F) == "0.1");
  CHECK(Text(16777216.0F) == "16777216");
  CHECK(Text(-0.0) == "-0");
  CHECK(Text(-std::nan("")) == "nan");
  CHECK(Text(-INFINITY) == "-inf");
  CHECK(Text(std::numeric_limits<int64_t>::min()) == "-9223372036854775808");
  CHECK(Text(std::numeric_limits<uint64_t>::max()) == "18446744073709551615");
  CHECK(Text(int8_t{-7}) == "-7");
  CHECK(Text(uint8_t{200}) == "200");
}

TEST_CASE("every double and float reads back") {
  const uint64_t seed = headway::internal::TestSeed("record text");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 10000; ++i) {
    const uint64_t bits = random();
    double d = 0;
    std::memcpy(&d, &bits, sizeof(d));
    if (d == d) CHECK(std::strtod(Text(d).c_str(), nullptr) == d);
    float f = 0;
    std::memcpy(&f, &bits, sizeof(f));
    if (f == f) CHECK(std::strtof(Text(f).c_str(), nullptr) == f);
    const auto l = static_cast<long double>(d) / 3;
    if (l == l) CHECK(std::strtold(Text(l).c_str(), nullptr) == l);
  }
}

TEST_CASE("characters, texts and booleans") {
  CHECK(Text('x') == "x");
  CHECK(Text("literal") == "literal");
  CHECK(Text(std::string("a\0b", 3)) == std::string("a\0b", 3));
  CHECK(Text(std::string_view("view")) == "view");
  CHECK(Text(true) == "1");
  CHECK(Text(kGreen) == "1");
}

TEST_CASE("std types are printed with the text of their parts") {
  CHECK(Text(std::pair("balance", 1234567.89)) == "(balance, 1234567.89)");
  CHECK(Text(std::tuple(1, std::string("two"), 3.5)) == "(1, two, 3.5)");
  CHECK(Text(std::tuple<>()) == "()");
  CHECK(Text(std::vector<std::pair<int, double>>{{1, 0.1}, {2, 0.2}}) == "[(1, 0.1), (2, 0.2)]");
  CHECK(Text(std::vector<bool>{true, false}) == "[1, 0]");
  CHECK(Text(std::array{1, 2}) == "[1, 2]");
  CHECK(Text(std::set<std::string>{"b", "a"}) == "[a, b]");
  CHECK(Text(std::map<std::string, int>{{"one", 1}, {"two", 2}}) == "{one: 1, two: 2}");
  CHECK(Text(std::optional(0.5)) == "0.5");
  CHECK(Text(std::optional<int>()) == "none");
  CHECK(Text(std::variant<int, std::string>("text")) == "text");
}

TEST_CASE("ToString prints a type of the program, also within std types") {
  CHECK(Text(Money{5}) == "5c");
  CHECK(Text(std::vector{std::pair(Money{5}, 1)}) == "[(5c, 1)]");
}

TEST_CASE("other types are not printable, nor is anything that contains one") {
  using headway::internal::IsPrintable;
  CHECK_FALSE(IsPrintable<Unprintable>());
  CHECK_FALSE(IsPrintable<Strict>());
  CHECK_FALSE(IsPrintable<int*>());
  CHECK_FALSE(IsPrintable<std::vector<std::optional<Unprintable>>>());
  CHECK_FALSE(IsPrintable<std::map<int, Strict>>());
  CHECK_FALSE(IsPrintable<std::tuple<int, Unprintable>>());
}

}  // namespace record_text_test
