#include "cli/getter.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace headway::cli {
namespace {

GetterCall ParseOk(std::string_view text) {
  absl::StatusOr<GetterCall> call = ParseGetterCall(text);
  REQUIRE_MESSAGE(call.ok(), call.status().ToString());
  return *call;
}

TEST_CASE("the getter is `flow` where none is named") {
  const GetterCall call = ParseOk("build/libwords.so");
  CHECK(call.library == "build/libwords.so");
  CHECK(call.getter == "flow");
  CHECK(call.arguments.empty());
}

TEST_CASE("a getter is named, with or without arguments") {
  CHECK(ParseOk("libwords.so:other_flow").getter == "other_flow");
  CHECK(ParseOk("libwords.so:other()").arguments.empty());
  CHECK(ParseOk("libwords.so:other( )").arguments.empty());
  const GetterCall call = ParseOk("libwords.so:get_flow ( 'words.txt' , 3 ) ");
  CHECK(call.library == "libwords.so");
  CHECK(call.getter == "get_flow");
  CHECK(call.arguments == std::vector<Literal>{"words.txt", int64_t{3}});
}

TEST_CASE("the path of a library may contain a colon, which no getter follows") {
  for (const std::string library : {"a:b/l.so", "./l:1.so", "C:/l.so", "a:b:c/l.so"}) {
    CAPTURE(library);
    CHECK(ParseOk(library).library == library);
    CHECK(ParseOk(library).getter == "flow");
    CHECK(ParseOk(library + ":other").library == library);
    CHECK(ParseOk(library + ":other").getter == "other");
    const GetterCall call = ParseOk(library + ":other('a:b')");
    CHECK(call.library == library);
    CHECK(call.arguments == std::vector<Literal>{"a:b"});
  }
}

TEST_CASE("literals are whole numbers, floating-point numbers, bools and strings") {
  const std::pair<std::string_view, Literal> cases[] = {
      {"0", int64_t{0}},
      {"42", int64_t{42}},
      {"-1", int64_t{-1}},
      {"+7", int64_t{7}},
      {"0x2a", int64_t{42}},
      {"-0x10", int64_t{-16}},
      {"9223372036854775807", INT64_MAX},
      {"-9223372036854775808", INT64_MIN},
      {"1.5", 1.5},
      {"-2.5e3", -2500.0},
      {"1e-3", 0.001},
      {".5", 0.5},
      {"3.", 3.0},
      {"true", true},
      {"false", false},
      {"''", std::string()},
      {"'a:b(c),d'", std::string("a:b(c),d")},
      {"\"it's\"", std::string("it's")},
      {R"('it\'s')", std::string("it's")},
      {R"('\\\"\n\r\t\0\x41\xfF')", std::string("\\\"\n\r\t\0A\xFF", 8)},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(ParseOk("l.so:f(" + std::string(text) + ")").arguments == std::vector{expected});
  }
}

TEST_CASE("a mistake is shown with a caret below it") {
  const struct {
    std::string_view text;
    std::string_view what;
    size_t column;
  } cases[] = {
      {"", "file name of a library", 0},
      {":flow", "file name of a library", 0},
      {"l.so:", "name of a getter", 5},
      {"l.so:1", "name of a getter", 5},
      {"l.so:f x", "expected nothing more", 7},
      {"l.so:f()x", "expected nothing more", 8},
      {"l.so:f(", "expected a number", 7},
      {"l.so:f(,", "expected a number", 7},
      {"l.so:f(1", "expected ',' or ')'", 8},
      {"l.so:f(1,)", "expected a number", 9},
      {"l.so:f(1 2)", "expected ',' or ')'", 9},
      {"l.so:f(word)", "expected a number", 7},
      {"l.so:f(True)", "expected a number", 7},
      {"l.so:f('a)", "no closing quote", 7},
      {"l.so:f('a\")", "no closing quote", 7},
      {"l.so:f('\\q')", "unknown escape", 8},
      {"l.so:f('\\x4')", "unknown escape", 8},
      {"l.so:f('\\", "unknown escape", 8},
      {"l.so:f(1x)", "not a number", 7},
      {"l.so:f(--1)", "not a number", 7},
      {"l.so:f(-)", "not a number", 7},
      {"l.so:f(0x)", "not a number", 7},
      {"l.so:f(0x-1)", "not a number", 7},
      {"l.so:f(1.5.5)", "not a number", 7},
      {"l.so:f(1e999)", "not a number", 7},
      {"l.so:f(-inf)", "not a number", 7},
      {"l.so:f(9223372036854775808)", "to 9223372036854775807", 7},
      {"l.so:f('\xC3\xA4', x)", "expected a number", 12},  // two bytes, one character
  };
  for (const auto& mistake : cases) {
    CAPTURE(mistake.text);
    const absl::Status status = ParseGetterCall(mistake.text).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    const std::string message(status.message());
    CAPTURE(message);
    CHECK(message.find(mistake.what) != std::string::npos);
    CHECK(message.ends_with("\n  " + std::string(mistake.text) + "\n  " +
                            std::string(mistake.column, ' ') + "^"));
  }
}

}  // namespace
}  // namespace headway::cli
