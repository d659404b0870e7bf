#include "comm/wire/wire.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "progress/compact_rounds.h"
#include "tests/comm/test_seed.h"
#include "tests/comm/wire/frame_samples.h"

namespace headway::internal {
namespace {

// A frame in aligned memory.
class Verified {
 public:
  explicit Verified(std::span<const std::byte> frame) {
    REQUIRE(frame.size() <= sizeof(bytes_));
    REQUIRE(frame.size() % kFrameAlignment == 0);
    std::memcpy(bytes_, frame.data(), frame.size());
    const auto verified = VerifyFrame({bytes_, frame.size()});
    REQUIRE_MESSAGE(verified.ok(), verified.status().ToString());
    frame_ = *verified;
  }
  const wire::Frame& operator*() const { return *frame_; }
  const std::byte* bytes() const { return bytes_; }

 private:
  alignas(64) std::byte bytes_[64 * 1024];
  const wire::Frame* frame_;
};

TEST_CASE("a batch arrives as it was sent, with its records at the end and aligned") {
  BatchFields fields{
      .dataflow = 1, .channel = 2, .sender = 3, .target = 4, .record_count = 5, .charged_bytes = 6};
  for (size_t i = 0; i < fields.time.size(); ++i) fields.time[i] = static_cast<std::byte>(i + 1);
  for (const uint32_t payload : {0u, 64u, 16'384u}) {
    const auto head = EncodeBatchHead(fields, payload);
    Bytes bytes(head.begin(), head.end());
    bytes.resize(bytes.size() + payload, std::byte{0xEE});
    CHECK(*FrameSize(bytes.data(), bytes.size()) == bytes.size());
    const Verified frame(bytes);
    const wire::Batch& batch = *(*frame).body_as_Batch();
    CHECK(batch.dataflow() == 1);
    CHECK(batch.channel() == 2);
    CHECK(batch.sender() == 3);
    CHECK(batch.target() == 4);
    CHECK(batch.record_count() == 5);
    CHECK(batch.charged_bytes() == 6);
    CHECK(std::memcmp(batch.time(), fields.time.data(), 32) == 0);
    CHECK(batch.records()->size() == payload);
    CHECK(reinterpret_cast<const std::byte*>(batch.records()->data()) ==
          frame.bytes() + kBatchHeadBytes);
  }
}

TEST_CASE("the other frames arrive as they were sent") {
  FrameEncoder encoder;
  Bytes rounds(41);
  for (size_t i = 0; i < rounds.size(); ++i) rounds[i] = static_cast<std::byte>(i);
  {
    const Verified frame(encoder.Progress(rounds));
    const auto& progress = *(*frame).body_as_Progress();
    REQUIRE(progress.rounds()->size() == rounds.size());
    CHECK(std::memcmp(progress.rounds()->data(), rounds.data(), rounds.size()) == 0);
  }
  {
    const FrameEncoder::ReturnedBytes returned[] = {{1, 2, 3, 4}, {5, 6, 7, uint64_t{1} << 60}};
    const Verified frame(encoder.Credit(returned));
    const auto& entries = *(*frame).body_as_Credit()->returned();
    REQUIRE(entries.size() == 2);
    CHECK(entries[0]->bytes() == 4);
    CHECK(entries[1]->dataflow() == 5);
    CHECK(entries[1]->channel() == 6);
    CHECK(entries[1]->worker() == 7);
    CHECK(entries[1]->bytes() == uint64_t{1} << 60);
  }
  {
    const std::string steps[] = {"inp", "", "map"};
    const Verified frame(encoder.Graph(2, steps));
    CHECK((*frame).body_as_Graph()->dataflow() == 2);
    REQUIRE((*frame).body_as_Graph()->steps()->size() == 3);
    for (uint32_t i = 0; i < 3; ++i) {
      CHECK((*frame).body_as_Graph()->steps()->Get(i)->str() == steps[i]);
    }
  }
  {
    const Verified frame(encoder.Stop());
    CHECK((*frame).body_type() == wire::Body::Stop);
  }
  {
    HelloFields hello{.version = 9,
                      .generation = 8,
                      .process = 7,
                      .process_count = 6,
                      .workers_per_process = 5,
                      .cluster = "name",
                      .secret = true};
    hello.nonce[31] = std::byte{4};
    const Verified frame(encoder.Hello(hello));
    CHECK(ReadHello(*frame) == hello);
  }
  for (const size_t size : {size_t{0}, kMacBytes}) {
    const Verified frame(encoder.Proof(Bytes(size, std::byte{3})));
    CHECK((*frame).body_as_Proof()->mac()->size() == size);
  }
  CHECK((*Verified(encoder.Heartbeat())).body_type() == wire::Body::Heartbeat);
  CHECK((*Verified(encoder.Goodbye())).body_type() == wire::Body::Goodbye);
  {
    const absl::Status status = absl::DataLossError("step 'x': gone");
    CHECK(ReadAbort(*Verified(encoder.Abort(status))) == status);
    const absl::Status cut =
        ReadAbort(*Verified(encoder.Abort(absl::InternalError(std::string(100'000, 'm')))));
    CHECK(cut.code() == absl::StatusCode::kInternal);
    CHECK(cut.message().size() == 16 * 1024);
  }
}

TEST_CASE("frames of any number of entries are valid, none included") {
  FrameEncoder encoder;
  for (uint32_t dataflow = 0; dataflow < 3; ++dataflow) {  // a field that is zero is left out
    for (size_t count = 0; count < 20; ++count) {
      Verified(encoder.Progress(Bytes(count)));
      Verified(encoder.Credit(std::vector<FrameEncoder::ReturnedBytes>(count)));
      Verified(encoder.Graph(dataflow, std::vector<std::string>(count, std::string(count, 's'))));
    }
  }
}

// The blocks of bytes in docs/wire-format.md.
std::vector<Bytes> DocumentedFrames() {
  std::ifstream page(HEADWAY_SOURCE_DIR "/docs/wire-format.md");
  REQUIRE(page.good());
  std::vector<Bytes> frames;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      if (inside) frames.emplace_back();
    } else if (inside) {
      std::istringstream words(line);
      for (unsigned byte; words >> std::hex >> byte;) {
        frames.back().push_back(static_cast<std::byte>(byte));
      }
    }
  }
  return frames;
}

TEST_CASE("the examples of the documentation are what the code writes") {
  const std::vector<Bytes> documented = DocumentedFrames();
  REQUIRE(documented.size() == 3);
  FrameEncoder encoder;
  CHECK(std::ranges::equal(encoder.Stop(), documented[0]));
  BatchFields fields{.dataflow = 1,
                     .channel = 2,
                     .sender = 3,
                     .target = 4,
                     .record_count = 2,
                     .charged_bytes = 128};
  fields.time[0] = std::byte{7};
  CHECK(std::ranges::equal(EncodeBatchHead(fields, 64), documented[1]));
  const uint32_t changes[] = {3, static_cast<uint32_t>(-4), 1000, 0, 3, 4, 1001, 0};
  CompactRounds rounds;
  rounds.Add(1, std::as_bytes(std::span(changes)), std::vector<uint32_t>(4, 16));
  CHECK(std::ranges::equal(encoder.Progress(rounds.bytes()), documented[2]));
}

TEST_CASE("there is a sample of every kind of frame, and it is read") {
  const std::vector<Bytes> samples = SampleFrames();
  REQUIRE(samples.size() == static_cast<size_t>(wire::Body::MAX) + 1);
  for (size_t kind = 1; kind < samples.size(); ++kind) {
    CHECK(static_cast<size_t>((*Verified(samples[kind])).body_type()) == kind);
    CHECK(Receive(samples[kind]));
  }
}

TEST_CASE("a size that is not a multiple of 64 or beyond the limit is refused") {
  const auto size_of = [](uint32_t prefix) {
    std::byte bytes[4];
    std::memcpy(bytes, &prefix, sizeof(prefix));
    return FrameSize(bytes, 1024);
  };
  CHECK(*size_of(60) == 64);
  CHECK(*size_of(1020) == 1024);
  for (const uint32_t prefix : {0u, 59u, 61u, 64u, 0x20544547u /* "GET " */}) {
    CHECK(absl::IsInvalidArgument(size_of(prefix).status()));
  }
  CHECK(size_of(1084).status() ==
        absl::InvalidArgumentError("malformed frame: it has 1088 bytes, and the limit is 1024"));
  CHECK(absl::IsInvalidArgument(size_of(0xFFFFFFFC).status()));  // 0 modulo 2^32
}

// Nothing that a process reads in a frame may lie outside of it, whatever its bytes are: the
// address sanitizer looks at each case.
TEST_CASE("a frame that was damaged or cut is refused or read without harm") {
  std::mt19937_64 random(TestSeed("damaged frames"));
  const std::vector<Bytes> samples = SampleFrames();
  int accepted = 0;
  constexpr int kRounds = 100'000;
  for (int round = 0; round < kRounds; ++round) {
    Bytes frame = samples[1 + random() % (samples.size() - 1)];
    const size_t changes = random() % 4;
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = random() % frame.size();
      switch (random() % 4) {
        case 0:
          frame[at] ^= static_cast<std::byte>(1u << random() % 8);
          break;
        case 1:
          frame[at] = static_cast<std::byte>(random());
          break;
        case 2:  // an offset or a size
          if (at + 4 <= frame.size()) {
            const auto value = static_cast<uint32_t>(random() % 2 == 0 ? random() : random() % 300);
            std::memcpy(frame.data() + at, &value, 4);
          }
          break;
        default:
          frame[at] = std::byte{0xFF};
      }
    }
    if (random() % 4 == 0) {  // cut, or with a tail
      frame.resize(kFrameAlignment * (1 + random() % (frame.size() / kFrameAlignment + 1)));
    }
    if (random() % 8 != 0) {  // mostly past the first check
      const auto prefix = static_cast<uint32_t>(frame.size() - kSizePrefixBytes);
      std::memcpy(frame.data(), &prefix, sizeof(prefix));
    }
    if (Receive(frame)) ++accepted;
  }
  CHECK(accepted > kRounds / 100);
  CHECK(accepted < kRounds);
}

}  // namespace
}  // namespace headway::internal
