#include "comm/system/event_loop.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/descriptor_limit.h"

namespace headway::internal {
namespace {

TEST_CASE("a loop that finds no descriptors is an error that says what to do") {
  for (int left = 0; left < 8; ++left) {
    CAPTURE(left);
    const DescriptorLimit limit(left);
    const absl::Status status = EventLoop::Create().status();
    CHECK(absl::IsResourceExhausted(status));
    CHECK(status.message().find("ulimit -n") != std::string::npos);
  }
  CHECK(EventLoop::Create().ok());
}

}  // namespace
}  // namespace headway::internal
