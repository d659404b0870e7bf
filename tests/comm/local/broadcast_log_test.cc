#include "comm/local/broadcast_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "tests/comm/test_seed.h"

namespace headway::internal {
namespace {

// An entry of `size` bytes that tells its number in every byte.
std::vector<std::byte> Entry(uint64_t number, size_t size) {
  return std::vector<std::byte>(size, static_cast<std::byte>(number * 31 + size));
}

TEST_CASE("every reader sees every entry once, in order and unchanged") {
  BroadcastLog log(2, 8);
  CHECK(log.reader(0).empty());
  const std::vector<size_t> sizes = {0, 1, 16, 48, 49, 5000};
  for (size_t i = 0; i < sizes.size(); ++i) REQUIRE(log.TryPublish(i, Entry(i, sizes[i])));
  for (int r = 0; r < 2; ++r) {
    BroadcastLog::Reader& reader = log.reader(r);
    for (size_t i = 0; i < sizes.size(); ++i) {
      uint32_t dataflow = 0;
      std::span<const std::byte> bytes;
      REQUIRE(reader.TryRead(&dataflow, &bytes));
      REQUIRE(reader.TryRead(&dataflow, &bytes));  // reading is not passing
      CHECK(dataflow == i);
      CHECK(std::ranges::equal(bytes, Entry(i, sizes[i])));
      CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % 8 == 0);
      reader.Release();
    }
    CHECK(reader.empty());
  }
}

TEST_CASE("a slow reader stops the producer after a lap, and its entries stay as they were") {
  BroadcastLog log(2, 4);
  uint32_t dataflow = 0;
  std::span<const std::byte> bytes;
  uint64_t published = 0;
  while (log.TryPublish(0, Entry(published, 100))) {
    ++published;
    REQUIRE(published <= 4);
    REQUIRE(log.reader(0).TryRead(&dataflow, &bytes));
    log.reader(0).Release();
  }
  CHECK(published == 4);
  REQUIRE(log.reader(1).TryRead(&dataflow, &bytes));
  CHECK_FALSE(log.TryPublish(0, Entry(9, 100)));
  CHECK(std::ranges::equal(bytes, Entry(0, 100)));
  log.reader(1).Release();
  CHECK(log.TryPublish(0, Entry(4, 100)));
  CHECK_FALSE(log.TryPublish(0, Entry(5, 100)));
  for (uint64_t i = 1; i <= 4; ++i) {
    REQUIRE(log.reader(1).TryRead(&dataflow, &bytes));
    CHECK(std::ranges::equal(bytes, Entry(i, 100)));
    log.reader(1).Release();
  }
}

TEST_CASE("a closed reader, or none, never stops the producer") {
  BroadcastLog closed(1, 4);
  closed.reader(0).Close();
  BroadcastLog none(0, 4);
  for (int i = 0; i < 20; ++i) {
    CHECK(closed.TryPublish(0, Entry(0, 8)));
    CHECK(none.TryPublish(0, Entry(0, 8)));
  }
}

TEST_CASE("readers of different speed get small and big entries from a producer thread") {
  const uint64_t seed = TestSeed("broadcast log stress");
  constexpr uint64_t kEntries = 20'000;
  BroadcastLog log(2, 16);
  const auto size_of = [seed](uint64_t i) {
    const uint64_t mixed = (i + seed) * 0x9E3779B97F4A7C15u >> 40;
    return 8 + (mixed % 500 == 0 ? 100'000 : mixed % 90);
  };
  std::vector<uint64_t> wrong(2);
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      BroadcastLog::Reader& reader = log.reader(r);
      std::mt19937_64 random(seed + r);
      for (uint64_t i = 0; i < kEntries; ++i) {
        uint32_t dataflow = 0;
        std::span<const std::byte> bytes;
        while (!reader.TryRead(&dataflow, &bytes)) std::this_thread::yield();
        if (random() % 64 == 0) std::this_thread::yield();
        uint64_t number = 0;
        std::memcpy(&number, bytes.data(), sizeof(number));
        wrong[r] += dataflow != static_cast<uint32_t>(i) || number != i ||
                    bytes.size() != size_of(i) ||
                    (bytes.size() > 8 && bytes.back() != static_cast<std::byte>(i));
        reader.Release();
      }
    });
  }
  for (uint64_t i = 0; i < kEntries; ++i) {
    std::vector<std::byte> bytes(size_of(i), static_cast<std::byte>(i));
    std::memcpy(bytes.data(), &i, sizeof(i));
    while (!log.TryPublish(static_cast<uint32_t>(i), bytes)) std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == std::vector<uint64_t>{0, 0});
}

}  // namespace
}  // namespace headway::internal
