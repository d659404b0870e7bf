#include "comm/wire/printable.h"

#include <doctest/doctest.h>

#include <string>

namespace headway::internal {
namespace {

TEST_CASE("text of other processes is printed as one line without control characters") {
  CHECK(Printable("plain text, 'quoted'") == "plain text, 'quoted'");
  CHECK(Printable("") == "");
  CHECK(Printable("\x1b[31mred\x1b[0m\nfake: line two\n") ==
        "\\x1b[31mred\\x1b[0m\\x0afake: line two\\x0a");
  CHECK(Printable(std::string("a\0b\x7f", 4)) == "a\\x00b\\x7f");
  CHECK(Printable("\xc2\x9b"
                  "31m") == "\\xc2\\x9b31m");  // the one-character form of ESC [
}

TEST_CASE("characters beyond ASCII stay, and bytes that are none are escaped") {
  const std::string good = "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80";
  CHECK(Printable(good) == good);
  CHECK(Printable("\xff\xfe") == "\\xff\\xfe");
  CHECK(Printable("\xc3") == "\\xc3");                             // cut
  CHECK(Printable("\xc0\x80") == "\\xc0\\x80");                    // overlong
  CHECK(Printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(Printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  CHECK(Printable("\xe2\x82"
                  "a") ==
        "\\xe2\\x82"
        "a");
}

TEST_CASE("long text is cut at a character, and says so") {
  CHECK(Printable("123456", 6) == "123456");
  CHECK(Printable("1234567", 6) == "123...");
  CHECK(Printable("12\n4567", 6) == "12...");
  CHECK(Printable("12\xe2\x82\xac\xe2\x82\xac", 7) == "12...");
  for (size_t bytes = 0; bytes < 30; ++bytes) {
    CHECK(Printable(std::string(bytes, '\n'), 20).size() <= 20);
  }
}

}  // namespace
}  // namespace headway::internal
