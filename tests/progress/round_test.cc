#include "progress/round.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "progress/change_batch.h"
#include "progress/product.h"

namespace headway::internal {
namespace {

using Bytes = std::vector<std::byte>;
using IterationTime = Product<Epoch, uint64_t>;

// Location 0 has epochs, location 1 has times of an iteration.
const std::vector<uint32_t> kChangeSizes = {kChangeBytes<Epoch>, kChangeBytes<IterationTime>};

Bytes TwoChanges() {
  Bytes round;
  RoundWriter writer(&round);
  writer.Add(1, IterationTime{7, 2}, -3);
  writer.Add(0, Epoch{9}, 1);
  return round;
}

TEST_CASE("a reader returns the changes that a writer added") {
  const Bytes round = TwoChanges();
  CHECK(round.size() == 24 + 16);
  RoundReader reader(round, kChangeSizes);
  REQUIRE(!reader.done());
  CHECK(reader.change().location() == 1);
  CHECK(reader.change().delta() == -3);
  CHECK(reader.change().time<IterationTime>() == IterationTime{7, 2});
  CHECK(reader.change().time_bytes(reader.change_bytes()).size() == 16);
  reader.NextAfter<IterationTime>();
  REQUIRE(!reader.done());
  CHECK(reader.change().location() == 0);
  CHECK(reader.change().delta() == 1);
  CHECK(reader.change().time<Epoch>() == 9);
  reader.Next();
  CHECK(reader.done());
}

TEST_CASE("several changes of a location are written like single ones") {
  using Change = ChangeBatch<Epoch>::Change;
  const std::vector<Change> changes = {{4, -1}, {5, 2}};
  Bytes together;
  RoundWriter(&together).AddAll(3, std::span<const Change>(changes));
  Bytes apart;
  for (const Change& change : changes) RoundWriter(&apart).Add(3, change.time, change.delta);
  CHECK(together == apart);
}

TEST_CASE("the padding of a time is zero") {
  struct Short {
    uint32_t number;
  };
  Bytes round;
  RoundWriter(&round).Add(0, Short{0xFFFFFFFF}, 1);
  REQUIRE(round.size() == 16);
  for (size_t i = 12; i < 16; ++i) CHECK(round[i] == std::byte{0});
}

TEST_CASE("an encoded time is copied with its padding") {
  const Bytes round = TwoChanges();
  Bytes copy;
  RoundWriter writer(&copy);
  for (RoundReader reader(round, kChangeSizes); !reader.done(); reader.Next()) {
    const EncodedChange change = reader.change();
    writer.AddEncoded(change.location(), change.time_bytes(reader.change_bytes()), change.delta());
  }
  CHECK(copy == round);
}

TEST_CASE("the first fault of a round is found") {
  using enum RoundFault::Kind;
  const Bytes round = TwoChanges();
  const auto fault = [&](size_t size) {
    return FindFault(std::span(round).first(size), kChangeSizes);
  };
  CHECK(fault(0).kind == kNone);
  CHECK(fault(24).kind == kNone);
  CHECK(fault(40).kind == kNone);
  CHECK(fault(3).kind == kTruncatedLocation);
  CHECK(fault(27).kind == kTruncatedLocation);
  for (const size_t size : {4, 8, 23}) {
    CHECK(fault(size).kind == kTruncatedChange);
    CHECK(fault(size).location == 1);
  }
  CHECK(fault(39).kind == kTruncatedChange);
  CHECK(fault(39).location == 0);
  Bytes unknown;
  RoundWriter(&unknown).Add(2, Epoch{0}, 1);
  CHECK(FindFault(unknown, kChangeSizes).kind == kUnknownLocation);
  CHECK(FindFault(unknown, kChangeSizes).location == 2);
}

}  // namespace
}  // namespace headway::internal
