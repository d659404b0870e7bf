#include "cli/state_lines.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>

#include "absl/status/status.h"

namespace headway::cli {
namespace {

using namespace std::string_literals;

StateLine Parsed(const std::string& line) {
  absl::StatusOr<StateLine> parsed = ParseStateLine(line);
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().ToString());
  return *parsed;
}

TEST_CASE("a line shows printable bytes as text, encoded strings as strings, others as base64") {
  CHECK(LineOf({.hash = 0x9464c15eca3c4724, .key = "\x02of", .state = "\x01\0\0\0"s}) ==
        R"({"hash":"9464c15eca3c4724","key":{"string":"of"},"state":{"base64":"AQAAAA=="}})");
  CHECK(LineOf({.hash = 1, .key = "a\"\\b", .part = "timer", .state = "\xc3\xa9"}) ==
        R"({"hash":"0000000000000001","key":"a\"\\b","part":"timer","state":"é"})");
  CHECK(LineOf({.hash = 1, .key = "", .state = ""}) ==
        R"({"hash":"0000000000000001","key":"","state":""})");
}

TEST_CASE("a line is read whatever its spaces, the order of its names, and its escapes") {
  const StateLine line = Parsed(
      R"( { "state" : "\u00e9\ud83d\ude00\n\"\\\/" , "key":{ "base64" : "AAE=" },"hash":"00000000000000ff"} )"
      "\r");
  CHECK(line.hash == 0xff);
  CHECK(line.key == "\0\x01"s);
  CHECK(line.part.empty());
  CHECK(line.state == "\xc3\xa9\xf0\x9f\x98\x80\n\"\\/");
}

TEST_CASE("rows of any bytes are the same after a line") {
  const char* const given = std::getenv("HEADWAY_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto bytes = [&random] {
    std::string text(random() % 12, '\0');
    // Often printable, and often with a length before it.
    const bool printable = random() % 2 == 0;
    for (char& c : text) c = static_cast<char>(printable ? 'a' + random() % 26 : random() % 256);
    if (random() % 2 == 0) text.insert(0, 1, static_cast<char>(text.size() + random() % 2));
    return text;
  };
  for (int i = 0; i < 2000; ++i) {
    const StateLine row = {random(), bytes(), bytes(), bytes()};
    const std::string line = LineOf(row.row());
    CAPTURE(line);
    const StateLine read = Parsed(line);
    REQUIRE(read.hash == row.hash);
    REQUIRE(read.key == row.key);
    REQUIRE(read.part == row.part);
    REQUIRE(read.state == row.state);
    // Part of a line is malformed, and so is a line with a byte that changed into a quote.
    CHECK(!ParseStateLine(line.substr(0, random() % line.size())).ok());
    std::string changed = line;
    changed[random() % changed.size()] = static_cast<char>(random() % 256);
    static_cast<void>(ParseStateLine(changed));  // any answer, but no crash
  }
}

TEST_CASE("a malformed line is refused with its column") {
  const auto refused = [](const std::string& line, const std::string& message) {
    const absl::Status status = ParseStateLine(line).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_MESSAGE(std::string(status.message()).find(message) != std::string::npos,
                  status.ToString());
  };
  refused("", "column 1: expected '{'");
  refused("{}", "column 3: 'hash', 'key' or 'state' is missing");
  refused(R"({"hash":"00","key":"","state":""})", "16 hexadecimal digits");
  refused(R"({"hash":"-000000000000001","key":"","state":""})", "16 hexadecimal digits");
  refused(R"({"hash":1})", "column 9: expected '\"'");
  refused(R"({"key":"","key":""})", "'key' is there twice");
  refused(R"({"hash":"0000000000000001","hash":"0000000000000001"})", "'hash' is there twice");
  refused(R"({"value":""})", "unknown name 'value'");
  refused(R"({"key":{"hex":"00"}})", "unknown form 'hex'");
  refused(R"({"key":{"base64":"?"}})", "malformed base64");
  refused(R"({"key":{}})", "a value needs a form");
  refused(R"({"key":{"string":"","base64":""}})", "a value has one form");
  refused(R"({"key":"\x"})", "unknown escape");
  refused(R"({"key":"\ud83d"})", "half of a surrogate pair");
  refused(R"({"key":"\ud83dA"})", "half of a surrogate pair");
  refused(R"({"key":"\u00g0"})", "four hexadecimal digits");
  refused(R"({"key":"a)", "the string has no end");
  refused(R"({"hash":"0000000000000001","key":"","state":""}})", "the line should end here");
}

}  // namespace
}  // namespace headway::cli
