#include "comm/mesh/dialer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace headway::internal {
namespace {

TEST_CASE("a failure is news if its reason is another one, and the last news are not recent") {
  const MeshOptions options;
  const std::vector<std::string> addresses = {"localhost:1"};
  AddressBook book(options, addresses);
  Dialer dialer(book, 0);
  const absl::Status refused = absl::UnavailableError("refused");
  CHECK(dialer.Failed(refused, 0));
  CHECK_FALSE(dialer.Failed(refused, 10));
  // Another end that makes something up each time.
  int news = 0;
  for (int64_t now_ms = 100; now_ms < 30'000; now_ms += 100) {
    const std::string reason = "garbage " + std::to_string(now_ms);
    news += dialer.Failed(absl::UnavailableError(reason), now_ms) ? 1 : 0;
    CHECK(dialer.last_error() == reason);
  }
  CHECK(news == 5);  // at once, and after pauses of 1, 2, 4 and 8 s
  // A suppressed reason is logged later, if it persists.
  const absl::Status stays = absl::UnavailableError("another version");
  CHECK_FALSE(dialer.Failed(stays, 30'000));
  CHECK(dialer.Failed(stays, 40'000));
  CHECK_FALSE(dialer.Failed(stays, 80'000));
}

}  // namespace
}  // namespace headway::internal
