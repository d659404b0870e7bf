#include "tests/comm/wire/frame_samples.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "check.h"
#include "comm/wire/wire.h"
#include "progress/compact_rounds.h"

namespace headway::internal {
namespace {

constexpr size_t kMaxFrameBytes = size_t{1} << 20;

size_t Sum(const uint8_t* bytes, size_t count) {
  size_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum = sum * 31 + bytes[i];
  return sum;
}

template <class T>
T ReadAligned(const void* at) {
  HEADWAY_CHECK(reinterpret_cast<uintptr_t>(at) % alignof(T) == 0);
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

struct FreeMemory {
  void operator()(void* memory) const { std::free(memory); }
};

}  // namespace

std::vector<Bytes> SampleFrames() {
  FrameEncoder encoder;
  std::vector<Bytes> frames(1);  // NONE
  const auto add = [&](std::span<const std::byte> frame) {
    frames.emplace_back(frame.begin(), frame.end());
  };
  BatchFields batch{.dataflow = 1,
                    .channel = 2,
                    .sender = 3,
                    .target = 4,
                    .record_count = 5,
                    .charged_bytes = 192};
  batch.time[0] = std::byte{9};
  const auto head = EncodeBatchHead(batch, 192);
  Bytes whole(head.begin(), head.end());
  for (int i = 0; i < 192; ++i) whole.push_back(static_cast<std::byte>(i));
  add(whole);
  const uint32_t changes[] = {3, UINT32_MAX, 5, 0, 3, 1, 6, 0};  // location, delta, epoch; twice
  CompactRounds rounds;
  for (const uint32_t dataflow : {1, 200}) {
    rounds.Add(dataflow, std::as_bytes(std::span(changes)), std::vector<uint32_t>(4, 16));
  }
  add(encoder.Progress(rounds.bytes()));
  const FrameEncoder::ReturnedBytes returned[] = {
      {.dataflow = 1, .channel = 2, .worker = 3, .bytes = 4}, {5, 6, 7, uint64_t{1} << 40}};
  add(encoder.Credit(returned));
  const std::string steps[] = {"inp", "a longer name of a step", ""};
  add(encoder.Graph(3, steps));
  add(encoder.Stop());
  HelloFields hello{.generation = 1,
                    .process = 2,
                    .process_count = 3,
                    .workers_per_process = 4,
                    .cluster = "cluster",
                    .secret = true};
  hello.nonce.fill(std::byte{0xAB});
  add(encoder.Hello(hello));
  add(encoder.Proof(Bytes(kMacBytes, std::byte{0xCD})));
  add(encoder.Heartbeat());
  add(encoder.Goodbye());
  add(encoder.Abort(absl::InternalError("step 'x' on worker 1: it failed")));
  return frames;
}

size_t ReadEverything(const wire::Frame& frame) {
  switch (frame.body_type()) {
    case wire::Body::Batch: {
      const wire::Batch& batch = *frame.body_as_Batch();
      const auto time = ReadAligned<wire::Time>(batch.time());
      return batch.dataflow() + batch.channel() + batch.sender() + batch.target() +
             batch.record_count() + batch.charged_bytes() +
             Sum(reinterpret_cast<const uint8_t*>(&time), sizeof(time)) +
             Sum(batch.records()->data(), batch.records()->size());
    }
    case wire::Body::Progress: {
      const auto& rounds = *frame.body_as_Progress()->rounds();
      CompactRoundsReader reader(std::as_bytes(std::span(rounds.data(), rounds.size())));
      uint32_t dataflow = 0;
      Bytes round;
      size_t sum = 0;
      while (reader.Next(kMaxFrameBytes, &dataflow, &round)) {
        HEADWAY_CHECK(!round.empty() && round.size() <= kMaxFrameBytes && round.size() % 8 == 0);
        sum += dataflow + Sum(reinterpret_cast<const uint8_t*>(round.data()), round.size());
      }
      return sum;
    }
    case wire::Body::Credit: {
      size_t sum = 0;
      for (const wire::Returned* each : *frame.body_as_Credit()->returned()) {
        const auto entry = ReadAligned<wire::Returned>(each);
        sum += entry.dataflow() + entry.channel() + entry.worker() + entry.bytes();
      }
      return sum;
    }
    case wire::Body::Graph: {
      size_t sum = frame.body_as_Graph()->dataflow();
      for (const auto* step : *frame.body_as_Graph()->steps()) {
        sum += Sum(step->Data(), step->size());
      }
      return sum;
    }
    case wire::Body::Stop:
      return frame.body_as_Stop() != nullptr ? 1 : 0;
    case wire::Body::Hello: {
      const HelloFields hello = ReadHello(frame);
      return hello.version + hello.generation + hello.process + hello.cluster.size();
    }
    case wire::Body::Proof: {
      const auto& mac = *frame.body_as_Proof()->mac();
      return Sum(mac.data(), mac.size());
    }
    case wire::Body::Abort: {
      const absl::Status status = ReadAbort(frame);
      HEADWAY_CHECK(!status.ok());
      return status.message().size();
    }
    case wire::Body::Heartbeat:
    case wire::Body::Goodbye:
    case wire::Body::NONE:
      break;
  }
  return 0;
}

bool Receive(std::span<const std::byte> bytes) {
  if (bytes.size() < kSizePrefixBytes) return false;
  const auto size = FrameSize(bytes.data(), kMaxFrameBytes);
  if (!size.ok() || *size > bytes.size()) return false;
  // Memory of exactly this size, so that the address sanitizer sees a read behind it.
  const std::unique_ptr<std::byte, FreeMemory> memory(
      static_cast<std::byte*>(std::aligned_alloc(kFrameAlignment, *size)));
  std::memcpy(memory.get(), bytes.data(), *size);
  const auto frame = VerifyFrame({memory.get(), *size});
  if (!frame.ok()) {
    HEADWAY_CHECK(absl::IsInvalidArgument(frame.status()));
    return false;
  }
  volatile size_t sink = ReadEverything(**frame);
  static_cast<void>(sink);
  return true;
}

}  // namespace headway::internal
