#include "comm/codec/codec.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "doctest/doctest.h"

namespace codec_test {

enum class Color : uint8_t { kRed, kGreen };
enum class Switch : bool { kOff, kOn };

struct Point {
  int32_t x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Flags {
  int32_t id = 0;
  bool urgent = false;
  char name[40] = {};
  bool operator==(const Flags&) const = default;
};

struct Order {
  uint64_t id = 0;
  std::string customer;
  std::vector<Point> path;
  std::optional<std::string> note;
  std::map<std::string, std::vector<int>> lines;
  bool operator==(const Order&) const = default;
};

struct Twelve {
  std::string a, b, c;
  int d = 0, e = 0, f[3] = {};
  std::string g[2];
  Point h;
  Order i;
  bool j = false;
  std::array<std::string, 2> k;
  std::unordered_set<int> l;
  bool operator==(const Twelve&) const = default;
};

struct Thirteen {
  std::string a, b, c, d, e, f, g, h, i, j, k, l, m;
  bool operator==(const Thirteen&) const = default;
};
HEADWAY_CODEC_FIELDS(Thirteen, a, b, c, d, e, f, g, h, i, j, k, l, m);

class Account {
 public:
  Account() = default;
  Account(std::string owner, int64_t cents) : owner_(std::move(owner)), cents_(cents) {}
  bool operator==(const Account&) const = default;
  HEADWAY_CODEC_FIELDS(Account, owner_, cents_);

 private:
  std::string owner_;
  int64_t cents_ = 0;
};

struct SavingsAccount : Account {
  int rate = 0;
};

struct Tree {
  int value = 0;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};
HEADWAY_CODEC_FIELDS(Tree, value, children);

struct Boxed {
  std::unique_ptr<int> value;
};

struct WithPointer {
  int size = 0;
  const char* data = nullptr;
};
struct WithNestedPointer {
  double weights[3] = {};
  WithPointer inner;
};
struct WithView {
  int id = 0;
  std::string_view name;
};
struct WithConst {
  int id = 0;
  const std::string name;
};
struct ThirteenPlain {
  int a, b, c, d, e, f, g, h, i, j, k, l, m;
};
struct SixtyFour {
  std::string a[2], b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
  int aa, ab, ac, ad, ae, af, ag, ah, ai, aj, ak, al, am, an, ao, ap;
  bool ba, bb, bc, bd, be, bf, bg, bh, bi, bj, bk, bl, bm, bn, bo, bp;
  std::vector<int> ca, cb, cc, cd, ce, cf, cg, ch, ci, cj, ck, cl, cm, cn, co, cp;
  bool operator==(const SixtyFour&) const = default;
};
struct SixtyFive {
  SixtyFour first;
  std::string a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
  std::string aa, ab, ac, ad, ae, af, ag, ah, ai, aj, ak, al, am, an, ao, ap;
  std::string ba, bb, bc, bd, be, bf, bg, bh, bi, bj, bk, bl, bm, bn, bo, bp;
  std::string ca, cb, cc, cd, ce, cf, cg, ch, ci, cj, ck, cl, cm, cn, co, cp;
};
struct Tag {
  bool operator==(const Tag&) const = default;
};
struct OtherTag {
  bool operator==(const OtherTag&) const = default;
};
struct Tagged : Tag, OtherTag {
  std::string name;
  std::vector<int> values;
  bool operator==(const Tagged&) const = default;
};
struct Named {
  std::string name;
  bool operator==(const Named&) const = default;
};
struct NamedInTwoParts : Named {
  std::string surname;
  bool operator==(const NamedInTwoParts&) const = default;
};
HEADWAY_CODEC_FIELDS(NamedInTwoParts, name, surname);
struct Derived : Order {
  int extra = 0;
};

}  // namespace codec_test

template <>
struct headway::Codec<codec_test::Boxed> {
  static void Encode(const codec_test::Boxed& value, Encoder& encoder) {
    Codec<int>::Encode(value.value ? *value.value : 0, encoder);
  }
  static bool Decode(Decoder& decoder, codec_test::Boxed* value) {
    value->value = std::make_unique<int>();
    return Codec<int>::Decode(decoder, value->value.get());
  }
};

namespace codec_test {
namespace {

using headway::BitwiseEncodable;
using headway::Codec;
using headway::DecodeFromBytes;
using headway::Decoder;
using headway::Encodable;
using headway::Encoder;
using headway::EncodeToBytes;

using Bytes = std::vector<std::byte>;

Bytes MakeBytes(std::initializer_list<int> values) {
  Bytes bytes;
  for (int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// A copy that ends where its allocation ends, so that a sanitizer sees a read past the end.
template <class T>
bool DecodeExactly(std::span<const std::byte> bytes, T* value) {
  const Bytes copy(bytes.begin(), bytes.end());
  return DecodeFromBytes<T>(copy, value);
}

// Encodes, decodes at an odd address and over a used value, and refuses every truncation and a
// trailing byte.
template <class T>
void CheckRoundTrip(const T& value, T used = T()) {
  static_assert(Encodable<T>);
  Bytes bytes = EncodeToBytes(value);
  REQUIRE_FALSE(bytes.empty());

  T fresh = T();
  REQUIRE(DecodeExactly(bytes, &fresh));
  CHECK(fresh == value);

  Bytes shifted = bytes;
  shifted.insert(shifted.begin(), std::byte{1});
  REQUIRE(DecodeFromBytes<T>(std::span(shifted).subspan(1), &used));
  CHECK(used == value);

  const size_t step = bytes.size() > 4096 ? bytes.size() / 97 : 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    T truncated = T();
    INFO("truncated to ", size, " of ", bytes.size());
    CHECK_FALSE(DecodeExactly(std::span(bytes).first(size), &truncated));
  }

  bytes.push_back(std::byte{0});
  CHECK_FALSE(DecodeExactly(bytes, &fresh));
}

Order MakeOrder() {
  return {.id = 7,
          .customer = "Ada",
          .path = {{1, 2.5}, {3, -4.5}},
          .note = "fragile",
          .lines = {{"bolt", {1, 2, 3}}, {"nut", {}}}};
}

TEST_CASE("a number, an enumeration and a trivially copyable struct come back as they were sent") {
  CheckRoundTrip<int8_t>(-5);
  CheckRoundTrip<uint64_t>(std::numeric_limits<uint64_t>::max());
  CheckRoundTrip<double>(-0.125);
  CheckRoundTrip(true, false);
  CheckRoundTrip(false, true);
  CheckRoundTrip(Color::kGreen);
  CheckRoundTrip(Switch::kOn);
  CheckRoundTrip(Point{1, 2.5});
  CheckRoundTrip(Flags{3, true, "widget"});
  CheckRoundTrip(std::array<int, 3>{1, 2, 3});
}

TEST_CASE("a standard container comes back as it was sent, empty, nested or over an older value") {
  CheckRoundTrip<std::string>("", "old");
  CheckRoundTrip<std::string>(std::string("nul \0 inside", 12), "old");
  CheckRoundTrip<std::u16string>(u"wide", u"old");
  CheckRoundTrip(std::pair<int, std::string>(1, "one"));
  CheckRoundTrip(std::tuple<int, std::string, double>(1, "one", 1.0));
  CheckRoundTrip(std::tuple<>());
  CheckRoundTrip<std::optional<int>>(std::nullopt, 5);
  CheckRoundTrip<std::optional<std::string>>("value", std::nullopt);
  CheckRoundTrip<std::optional<std::optional<int>>>(std::optional<int>());
  using Variant = std::variant<std::monostate, int, std::string, int>;
  CheckRoundTrip<Variant>(std::monostate(), "old");
  CheckRoundTrip<Variant>("text", std::monostate());
  CheckRoundTrip<Variant>(Variant(std::in_place_index<3>, 9));
  CheckRoundTrip<std::vector<int>>({}, {1});
  CheckRoundTrip<std::vector<int>>({1, 2, 3}, {4});
  CheckRoundTrip<std::vector<bool>>({true, false, true}, {false});
  CheckRoundTrip<std::vector<std::string>>({"", "a", "bc"}, {"old"});
  CheckRoundTrip<std::vector<std::vector<std::pair<int, std::string>>>>({{}, {{1, "a"}}, {}});
  CheckRoundTrip<std::vector<std::monostate>>(std::vector<std::monostate>(5));
  CheckRoundTrip<std::deque<std::string>>({"a", "b"}, {"old"});
  CheckRoundTrip(std::array<std::string, 2>{"a", "b"});
  CheckRoundTrip(std::array<bool, 3>{true, false, true});
  CheckRoundTrip<std::map<std::string, int>>({{"a", 1}, {"b", 2}}, {{"old", 0}});
  CheckRoundTrip<std::multimap<int, int>>({{1, 1}, {1, 2}});
  CheckRoundTrip<std::unordered_map<int, std::string>>({{1, "a"}, {2, "b"}}, {{3, "old"}});
  CheckRoundTrip<std::set<std::string>>({"a", "b"}, {"old"});
  CheckRoundTrip<std::unordered_set<int>>({1, 2, 3}, {4});
  CheckRoundTrip<absl::flat_hash_map<std::string, std::vector<int>>>({{"a", {1}}, {"b", {}}},
                                                                     {{"old", {}}});
}

TEST_CASE("an aggregate of up to 64 fields needs no code, with base classes without members") {
  CheckRoundTrip(MakeOrder());
  CheckRoundTrip(Order());
  Twelve twelve{.a = "a",
                .b = "",
                .c = "c",
                .d = 4,
                .e = 5,
                .f = {6, 7, 8},
                .g = {"x", "y"},
                .h = {1, 2},
                .i = MakeOrder(),
                .j = true,
                .k = {"k", "l"},
                .l = {1, 2}};
  CheckRoundTrip(twelve);
  CheckRoundTrip<std::vector<Order>>({MakeOrder(), Order(), MakeOrder()});
  SixtyFour many{};
  many.a[1] = "a";
  many.ap = 7;
  many.bp = true;
  many.cp = {1, 2};
  CheckRoundTrip(many, SixtyFour{});
  CheckRoundTrip(Tagged{{}, {}, "name", {1, 2}});
}

TEST_CASE("durations and times of std::chrono have a codec") {
  using std::chrono::system_clock;
  CheckRoundTrip(std::chrono::milliseconds(5));
  CheckRoundTrip(std::chrono::duration<double>(0.5));
  CheckRoundTrip(system_clock::time_point(std::chrono::seconds(1'700'000'000)));
  CheckRoundTrip(std::pair(std::string("at"), system_clock::time_point()));
}

TEST_CASE("a line of HEADWAY_CODEC_FIELDS serves many fields, private ones and recursive types") {
  Thirteen thirteen;
  thirteen.a = "a";
  thirteen.m = "m";
  CheckRoundTrip(thirteen);
  CheckRoundTrip(Account("Ada", 1250));
  CheckRoundTrip(NamedInTwoParts{{"Ada"}, "Lovelace"});
  CheckRoundTrip(Tree{1, {{2, {}}, {3, {{4, {}}}}}});
  static_assert(!Encodable<SavingsAccount>,
                "the line of a base class says nothing about the derived");
}

TEST_CASE("a specialization of Codec is used wherever the type appears") {
  std::vector<Boxed> boxes(2);
  boxes[1].value = std::make_unique<int>(7);
  std::vector<Boxed> decoded;
  REQUIRE(DecodeExactly(EncodeToBytes(boxes), &decoded));
  REQUIRE(decoded.size() == 2);
  CHECK(*decoded[1].value == 7);
}

TEST_CASE("pointers, views and what contains them have no codec") {
  static_assert(!Encodable<int*>);
  static_assert(!Encodable<std::nullptr_t>);
  static_assert(!Encodable<std::string_view>);
  static_assert(!Encodable<std::span<int>>);
  static_assert(!Encodable<std::unique_ptr<int>>);
  static_assert(!Encodable<std::vector<const char*>>);
  static_assert(!Encodable<std::optional<int*>>);
  static_assert(!Encodable<WithPointer>);
  static_assert(!Encodable<WithNestedPointer>);
  static_assert(!Encodable<std::array<WithPointer, 2>>);
  static_assert(!Encodable<WithView>);
  static_assert(!Encodable<WithConst>);
  static_assert(!Encodable<SixtyFive>);
  static_assert(!Encodable<Derived>);
}

TEST_CASE("only types whose every byte is valid are copied as they are") {
  static_assert(BitwiseEncodable<uint64_t>);
  static_assert(BitwiseEncodable<Point>);
  static_assert(BitwiseEncodable<ThirteenPlain>);
  static_assert(BitwiseEncodable<std::array<Point, 4>>);
  static_assert(!BitwiseEncodable<bool>);
  static_assert(!BitwiseEncodable<Switch>);
  static_assert(!BitwiseEncodable<Flags>);
  static_assert(!BitwiseEncodable<std::optional<int>>);
  static_assert(!BitwiseEncodable<std::array<bool, 4>>);
}

TEST_CASE("a string_view is encoded as the string that receives it") {
  CHECK(EncodeToBytes(std::string_view("key")) == EncodeToBytes(std::string("key")));
  CHECK(EncodeToBytes(std::pair<std::string_view, int>("key", 1)) ==
        EncodeToBytes(std::pair<std::string, int>("key", 1)));
}

TEST_CASE("the format is the documented one") {
  CHECK(EncodeToBytes(uint32_t{0x01020304}) == MakeBytes({4, 3, 2, 1}));
  CHECK(EncodeToBytes(std::string("ab")) == MakeBytes({2, 'a', 'b'}));
  CHECK(EncodeToBytes(std::vector<uint16_t>{1, 2}) == MakeBytes({2, 1, 0, 2, 0}));
  CHECK(EncodeToBytes(std::pair<uint8_t, uint16_t>(1, 2)) == MakeBytes({1, 2, 0}));
  CHECK(EncodeToBytes(std::optional<uint8_t>(3)) == MakeBytes({1, 3}));
  CHECK(EncodeToBytes(std::variant<bool, uint8_t>(uint8_t{3})) == MakeBytes({1, 3}));
  CHECK(EncodeToBytes(std::map<uint8_t, bool>{{1, true}, {2, false}}) ==
        MakeBytes({2, 1, 1, 2, 0}));
  CHECK(EncodeToBytes(std::monostate()) == MakeBytes({0}));
  Encoder encoder;
  for (uint64_t length : {uint64_t{127}, uint64_t{128}, uint64_t{300}})
    encoder.AppendLength(length);
  CHECK(encoder.Take() == MakeBytes({127, 0x80, 1, 0xac, 2}));
}

TEST_CASE("a large value comes back as it was sent") {
  std::vector<uint64_t> numbers(1 << 18);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = i * i;
  CheckRoundTrip(numbers);
  CheckRoundTrip(std::string(1 << 20, 'x'));
  std::vector<std::string> words;
  for (int i = 0; i < 20000; ++i) words.push_back(std::to_string(i));
  CheckRoundTrip(words);
}

TEST_CASE("bytes that are no value of the type are refused") {
  bool flag = false;
  CHECK_FALSE(DecodeExactly(MakeBytes({2}), &flag));
  Switch on = Switch::kOff;
  CHECK_FALSE(DecodeExactly(MakeBytes({255}), &on));
  std::optional<int> optional;
  CHECK_FALSE(DecodeExactly(MakeBytes({2, 0, 0, 0, 0}), &optional));
  std::variant<int, bool> variant;
  CHECK_FALSE(DecodeExactly(MakeBytes({2, 0, 0, 0, 0}), &variant));
  std::monostate empty;
  CHECK_FALSE(DecodeExactly(MakeBytes({1}), &empty));
  std::map<uint8_t, uint8_t> map;
  CHECK_FALSE(DecodeExactly(MakeBytes({2, 1, 1, 1, 1}), &map));
  std::set<uint8_t> set;
  CHECK_FALSE(DecodeExactly(MakeBytes({2, 1, 1}), &set));
  Flags flags;
  Bytes bytes = EncodeToBytes(flags);
  bytes[4] = std::byte{7};
  CHECK_FALSE(DecodeExactly(bytes, &flags));
}

TEST_CASE("a length that is not in its shortest form or has more than 64 bits is refused") {
  uint64_t number = 0;
  for (const Bytes& bytes : {MakeBytes({0x80, 0}), MakeBytes({0xff, 0x80, 0}),
                             MakeBytes({255, 255, 255, 255, 255, 255, 255, 255, 255, 2}),
                             MakeBytes({255, 255, 255, 255, 255, 255, 255, 255, 255, 0x81, 0})}) {
    Decoder decoder(bytes);
    CHECK_FALSE(decoder.ReadNumber(&number));
  }
  const Bytes longest = MakeBytes({255, 255, 255, 255, 255, 255, 255, 255, 255, 1});
  Decoder decoder(longest);
  REQUIRE(decoder.ReadNumber(&number));
  CHECK(number == std::numeric_limits<uint64_t>::max());
}

template <class T>
void CheckHugeLengths() {
  for (uint64_t length : {uint64_t{200}, uint64_t{1} << 32, uint64_t{1} << 61,
                          (uint64_t{1} << 61) + 1, std::numeric_limits<uint64_t>::max()}) {
    Encoder encoder;
    encoder.AppendLength(length);
    for (int i = 0; i < 100; ++i) encoder.AppendByte(0);
    T value = T();
    CHECK_FALSE(DecodeExactly(encoder.bytes(), &value));
  }
}

TEST_CASE("a length that the remaining bytes cannot hold is refused before anything is allocated") {
  CheckHugeLengths<std::string>();
  CheckHugeLengths<std::u16string>();
  CheckHugeLengths<std::vector<uint64_t>>();
  CheckHugeLengths<std::vector<bool>>();
  CheckHugeLengths<std::vector<std::monostate>>();
  CheckHugeLengths<std::vector<std::string>>();
  CheckHugeLengths<std::vector<Twelve>>();
  CheckHugeLengths<std::map<int, int>>();
  CheckHugeLengths<std::unordered_set<int>>();
  CheckHugeLengths<absl::flat_hash_map<int, Order>>();
}

TEST_CASE("a value nested too deep is refused and does not use up the stack") {
  Tree decoded;
  Encoder deep;
  for (int i = 0; i < 1000000; ++i) {
    Codec<int>::Encode(i, deep);
    deep.AppendLength(1);
  }
  CHECK_FALSE(DecodeExactly(deep.bytes(), &decoded));

  Tree allowed;
  for (int i = 1; i < Decoder::kNestingMax; ++i) {
    Tree parent;
    parent.children.push_back(std::move(allowed));
    allowed = std::move(parent);
  }
  CHECK(DecodeExactly(EncodeToBytes(allowed), &decoded));
  Tree parent;
  parent.children.push_back(std::move(allowed));
  CHECK_FALSE(DecodeExactly(EncodeToBytes(parent), &decoded));
}

TEST_CASE(
    "random changes to an encoding never crash, and what is accepted encodes to the same bytes") {
  const uint32_t seed = std::random_device()();
  INFO("seed ", seed);
  std::mt19937 random(seed);
  const Twelve twelve{.a = "a",
                      .b = "",
                      .c = "c",
                      .d = 4,
                      .e = 5,
                      .f = {6, 7, 8},
                      .g = {"x", "y"},
                      .h = {1, 2},
                      .i = MakeOrder(),
                      .j = true,
                      .k = {"k", "l"},
                      .l = {1}};
  const Bytes original = EncodeToBytes(twelve);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = original;
    for (uint32_t change = random() % 3 + 1; change > 0; --change) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    }
    Twelve decoded;
    if (!DecodeExactly(bytes, &decoded)) continue;
    ++accepted;
    // A map may have been out of order, and a NaN or padding may differ: the length cannot.
    CHECK(EncodeToBytes(decoded).size() == bytes.size());
  }
  CHECK(accepted > 0);
  CHECK(accepted < 20000);
}

TEST_CASE("an encoder appends to what its buffer holds, and its memory can be used again") {
  Encoder encoder(MakeBytes({9}));
  Codec<uint8_t>::Encode(1, encoder);
  CHECK(encoder.size() == 2);
  Encoder moved = std::move(encoder);
  Codec<uint8_t>::Encode(2, moved);
  Bytes bytes = moved.Take();
  CHECK(bytes == MakeBytes({9, 1, 2}));
  CHECK(moved.size() == 0);

  bytes.clear();
  moved = Encoder(std::move(bytes));
  moved.AppendByte(5);
  moved.Clear();
  moved.AppendByte(6);
  CHECK(moved.bytes().size() == 1);
  CHECK(moved.Take() == MakeBytes({6}));
}

}  // namespace
}  // namespace codec_test
