#include "comm/local/mailbox.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <random>
#include <thread>

#include "tests/comm/test_seed.h"
#include "tests/sanitizers.h"

namespace headway::internal {
namespace {

Message Numbered(uint32_t number) {
  return Message::Credited(~number, number * 3, {.process = number ^ 7, .bytes = number});
}

TEST_CASE("a mailbox refuses a message when it is full and keeps the order") {
  Mailbox mailbox(4);
  Message message;
  CHECK(mailbox.empty());
  CHECK_FALSE(mailbox.TryReceive(&message));
  uint32_t sent = 0;
  uint32_t received = 0;
  for (int lap = 0; lap < 5; ++lap) {
    while (mailbox.TrySend(Numbered(sent))) ++sent;
    CHECK(sent - received == 4);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(mailbox.TryReceive(&message));
      CHECK(message.credited().bytes == received++);
    }
  }
  while (mailbox.TryReceive(&message)) CHECK(message.credited().bytes == received++);
  CHECK(received == sent);
  CHECK(mailbox.empty());
}

TEST_CASE("a batch travels in its message if it fits, whatever the sizes of time and records") {
  std::array<std::byte, SmallBatch::kBytes> records;
  for (size_t i = 0; i < records.size(); ++i) records[i] = static_cast<std::byte>(i + 1);
  std::array<std::byte, 32> time;
  time.fill(std::byte{99});
  Mailbox mailbox(2);
  int fitting = 0;
  for (uint16_t time_bytes : {4, 8, 16, 24, 32}) {
    for (uint16_t record_bytes = 1; SmallBatch::Fits(time_bytes, record_bytes); ++record_bytes) {
      ++fitting;
      Message message = Message::Small(0, 0,
                                       {.record_count = 1,
                                        .charged_bytes = 2,
                                        .sender = 3,
                                        .time_bytes = time_bytes,
                                        .record_bytes = record_bytes});
      REQUIRE(mailbox.TrySendSmall(message, time.data(), records.data()));
      std::array<std::byte, 32> got_time{};
      std::array<std::byte, SmallBatch::kBytes> got_records{};
      bool called = false;
      REQUIRE(mailbox.TryReceive(&message, [&](const SmallBatch& small) {
        called = true;
        small.Take(message.small(), got_time.data(), got_records.data());
      }));
      REQUIRE(called);
      REQUIRE(std::equal(time.begin(), time.begin() + time_bytes, got_time.begin()));
      REQUIRE(std::equal(records.begin(), records.begin() + record_bytes, got_records.begin()));
    }
  }
  CHECK(fitting == 72 + 72 + 64 + 56 + 48);
}

TEST_CASE("two threads lose, repeat and reorder nothing in a mailbox of any size") {
  std::mt19937_64 random(TestSeed("mailbox stress"));
  for (int round = 0; round < 6; ++round) {
    constexpr uint32_t kMessages = Repeated(50'000, 10'000);
    Mailbox mailbox(size_t{1} << (random() % 9));
    std::thread producer([&] {
      for (uint32_t i = 0; i < kMessages; ++i) {
        while (!mailbox.TrySend(Numbered(i))) std::this_thread::yield();
      }
    });
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < kMessages; ++i) {
      Message message;
      while (!mailbox.TryReceive(&message)) std::this_thread::yield();
      wrong += message.kind() != MessageKind::kCredit || message.dataflow() != ~i ||
               message.channel() != i * 3 || message.credited().process != (i ^ 7) ||
               message.credited().bytes != i;
    }
    producer.join();
    CHECK(wrong == 0);
    CHECK(mailbox.empty());
  }
}

}  // namespace
}  // namespace headway::internal
