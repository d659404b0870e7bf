// Groups of a table's tags against a plain look at each.
#include "engine/state/table_tags.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "tests/comm/test_seed.h"

namespace headway::internal {
namespace {

TEST_CASE("a tag is never that of a vacant slot, and differs with the hash") {
  CHECK(TagOf(0) != 0);
  CHECK(TagOf(~uint64_t{0}) != 0);
  CHECK(TagOf(uint64_t{1} << 40) != TagOf(0));
  // The bits that select the slot or the worker must not decide the tag too.
  CHECK(TagOf(0xff000000ffffffff) == TagOf(0));
}

TEST_CASE("a group of tags knows which are equal to one, and which slots are vacant") {
  const uint64_t seed = TestSeed("table tags");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 1000; ++round) {
    std::vector<uint8_t> tags(TagGroup::kSize + 7);
    for (uint8_t& tag : tags) tag = random() % 3 == 0 ? 0 : TagOf((random() % 4) << 40);
    const size_t first = random() % 8;
    const uint8_t tag = TagOf((random() % 4) << 40);
    uint32_t equal = 0;
    uint32_t vacant = 0;
    for (size_t i = 0; i < TagGroup::kSize; ++i) {
      equal |= uint32_t{tags[first + i] == tag} << i;
      vacant |= uint32_t{tags[first + i] == 0} << i;
    }
    const TagGroup group(tags.data() + first);
    REQUIRE(group.Equal(tag) == equal);
    REQUIRE(group.Vacant() == vacant);
  }
}

}  // namespace
}  // namespace headway::internal
