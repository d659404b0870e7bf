// Strings in columns: batches return the strings that were appended, readable beyond their end.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/comm/test_seed.h"
#include "tests/engine/batch/batch_helpers.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

void CheckContent(const StringBatch& batch, const std::vector<std::string>& expected) {
  REQUIRE(batch.size() == expected.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    const BatchString string = batch[i];
    REQUIRE(string == expected[i]);
    // To the sanitizers it matters that all of it is read.
    const std::string with_beyond(string.data(), string.size() + BatchString::kReadableBeyond);
    REQUIRE(with_beyond.starts_with(expected[i]));
  }
}

TEST_CASE("strings from another process may be read beyond their end, too") {
  Pool pool;
  internal::SlabPool* slabs = internal::SlabPool::Create();
  for (const size_t size : {0, 1, 36, 44, 60, 1'000, 300'000, 300'028, 300'060}) {
    CAPTURE(size);
    const std::vector<std::string> expected = {std::string(size, 'x'), "ab"};
    StringBatch batch;
    batch.Allocate(*pool.endpoint, std::string(size + 16, 'x'));
    for (const std::string& string : expected) REQUIRE(batch.TryAppend(string));
    internal::Block* received = SendAndReceive<StringBatch>(*pool.endpoint, batch.Release(), slabs);
    REQUIRE(StringBatch::CheckParts(*received));
    // One that leaves no room beyond the last string is refused.
    auto* last_end = reinterpret_cast<uint32_t*>(received->payload() + received->capacity) - 2;
    const uint32_t end = std::exchange(
        *last_end, received->capacity - 2 * static_cast<uint32_t>(sizeof(uint32_t)) - 15);
    CHECK(!StringBatch::CheckParts(*received));
    *last_end = end;
    CheckContent(StringBatch(pool.endpoint, received), expected);
  }
  slabs->Release();
}

TEST_CASE("strings of any length go in until the block is full, and come out of copies of copies") {
  const uint64_t seed = internal::TestSeed("string batch");
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Pool pool;
  for (const size_t longest : {0, 1, 15, 16, 17, 40, 5'000, 100'000}) {
    CAPTURE(longest);
    std::vector<std::string> expected;
    StringBatch batch;
    while (true) {
      std::string text(random() % (longest + 1), 'a');
      for (char& c : text) c = static_cast<char>('a' + random() % 26);
      if (batch.size() == 0 && expected.empty()) batch.Allocate(*pool.endpoint, text);
      if (!batch.TryAppend(text)) break;
      expected.push_back(std::move(text));
    }
    REQUIRE(!expected.empty());
    CheckCopies<std::string>(*pool.endpoint, batch, expected, CheckContent);
  }
}

TEST_CASE("a string in a batch has the hash of the same plain string") {
  for (size_t size = 0; size < 50; ++size) {
    CAPTURE(size);
    for (const char filler : {'\0', 'a', '\xff'}) {
      std::string text(size, ' ');
      for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(37 * i + 200);
      const std::string memory = text + std::string(BatchString::kReadableBeyond, filler);
      const BatchString in_batch(std::string_view(memory).substr(0, size));
      CHECK(StableHash(in_batch) == StableHash(text));
    }
  }
}

}  // namespace
}  // namespace headway
