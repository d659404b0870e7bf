// A process of the cluster that sends any frames in any order, some of them with wrong bits. It may
// end the run, and nothing else.
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "comm/wire/wire_generated.h"
#include "engine/worker.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/network/scripted_process.h"

namespace headway {
namespace {

using Random = std::mt19937_64;

// Mostly numbers that exist.
uint32_t AnyNumber(Random& random, uint32_t count) {
  switch (random() % 8) {
    case 0:
      return static_cast<uint32_t>(random());
    case 1:
      return count;
    default:
      return static_cast<uint32_t>(random() % count);
  }
}

Bytes AnyBatch(Random& random) {
  const auto payload = static_cast<uint32_t>(random() % 4 * 64 * (random() % 100 == 0 ? 1000 : 1));
  internal::BatchFields fields{.dataflow = AnyNumber(random, 2),
                               .channel = AnyNumber(random, 3),
                               .sender = random() % 16 == 0 ? 0U : 1U,
                               .target = random() % 16 == 0 ? 1U : 0U,
                               .record_count = AnyNumber(random, 8),
                               .charged_bytes = 64 + payload};
  if (random() % 16 == 0) fields.charged_bytes = static_cast<uint32_t>(random());
  fields.time[0] = static_cast<std::byte>(random() % 4);
  Bytes frame = Copy(internal::EncodeBatchHead(fields, payload));
  while (frame.size() < internal::kBatchHeadBytes + payload) {
    frame.push_back(static_cast<std::byte>(random() % 3));
  }
  return frame;
}

Bytes AnyProgress(Random& random) {
  std::vector<Change> changes;
  for (uint64_t i = random() % 4; i <= 4; ++i) {
    const auto delta = static_cast<int32_t>(random() % 5) - 2;
    if (delta != 0) changes.push_back({0, delta, random() % 5});
  }
  if (changes.empty()) changes.push_back({0, 1, 1});
  // As if the dataflow had several locations.
  for (Change& change : changes) change.location = AnyNumber(random, 6) % 64;
  CompactRounds rounds;
  rounds.Add(AnyNumber(random, 2), AsRound(changes), std::vector<uint32_t>(64, kChangeBytes));
  FrameEncoder encoder;
  return Copy(encoder.Progress(rounds.bytes()));
}

Bytes AnyCredit(Random& random) {
  std::vector<FrameEncoder::ReturnedBytes> returned;
  for (uint64_t i = random() % 3; i < 3; ++i) {
    returned.push_back({.dataflow = AnyNumber(random, 2),
                        .channel = AnyNumber(random, 3),
                        .worker = AnyNumber(random, 1),
                        .bytes = random() % 4 == 0 ? random() : random() % 4096});
  }
  FrameEncoder encoder;
  return Copy(encoder.Credit(returned));
}

// `graphs` are the descriptions of the dataflows that process 0 has built.
Bytes AnyFrame(Random& random, const std::vector<Bytes>& graphs) {
  FrameEncoder encoder;
  switch (random() % 16) {
    case 0:
      return graphs.empty() ? Copy(encoder.Heartbeat()) : graphs[random() % graphs.size()];
    case 1:
      return Copy(encoder.Graph(AnyNumber(random, 3), std::vector<std::string>{"inp", "\x1b[31m"}));
    case 2:
      return Copy(encoder.Stop());
    case 3:
      return AnyCredit(random);
    case 4:
      if (random() % 8 == 0) return Copy(encoder.Goodbye());
      return Copy(encoder.Heartbeat());
    case 5:
      if (random() % 8 == 0) return Copy(encoder.Abort(absl::InternalError("a\nb")));
      return AnyBatch(random);
    case 6:
    case 7:
    case 8:
      return AnyProgress(random);
    default:
      return AnyBatch(random);
  }
}

// Flips bits, as long as the connection would still pass the frame on. Heartbeats and handshakes
// never get that far.
void Mutate(Random& random, Bytes& frame) {
  if (random() % 4 != 0) return;
  Bytes mutated = frame;
  for (uint64_t flips = random() % 4; flips > 0; --flips) {
    mutated[4 + random() % (mutated.size() - 4)] ^= static_cast<std::byte>(1 << random() % 8);
  }
  const std::unique_ptr<void, decltype(&std::free)> memory(
      std::aligned_alloc(internal::kFrameAlignment, mutated.size()), &std::free);
  std::memcpy(memory.get(), mutated.data(), mutated.size());
  if (internal::VerifyFrame({static_cast<const std::byte*>(memory.get()), mutated.size()}).ok()) {
    frame = mutated;
  }
}

bool IsForTheNetwork(const Bytes& frame) {
  switch (flatbuffers::GetSizePrefixedRoot<wire::Frame>(frame.data())->body_type()) {
    case wire::Body::Heartbeat:
    case wire::Body::Hello:
    case wire::Body::Proof:
      return false;
    default:
      return true;
  }
}

// Two exchanges, one of them of strings, in a dataflow that a host feeds.
void BuildExchanges(Worker& worker, InputHandle<uint64_t>& input) {
  const absl::Status built = worker.Build("exchanges", [&](Scope<>& scope) {
    scope.Input(input) | Exchange("numbers", [](uint64_t n) { return n; }) |
        Map("text", [](uint64_t n) { return std::to_string(n); }) |
        Exchange("strings", [](std::string_view text) { return text; }) |
        Inspect("look", [](std::string_view) {});
  });
  CheckOk(built);
}

TEST_CASE("a member that sends any frames in any order ends the run at most, and is named") {
  Random random(internal::TestSeed("hostile member"));
  int failures = 0;
  for (int round = 0; round < 300; ++round) {
    Process process(1, 2, {.max_bytes_in_flight = 1 << 16});
    Worker worker(process.attempt, 0);
    InputHandle<uint64_t> input;
    Epoch epoch = 0;
    if (random() % 8 != 0) BuildExchanges(worker, input);
    process.Pump();
    std::vector<Bytes> graphs;
    for (const Bytes& frame : process.transport->control_frames()) graphs.push_back(frame);
    if (random() % 4 != 0) {
      for (const Bytes& graph : graphs) process.Receive(graph);
    }
    absl::Status status = process.attempt.failure().status();
    for (uint64_t frames = random() % 200; status.ok() && frames > 0; --frames) {
      Bytes frame = AnyFrame(random, graphs);
      Mutate(random, frame);
      if (!IsForTheNetwork(frame)) continue;
      process.Receive(frame);
      if (random() % 4 == 0) input.Send(random() % 100);
      if (random() % 16 == 0) input.AdvanceTo(++epoch);
      status = worker.Step();
    }
    if (status.ok()) continue;
    ++failures;
    INFO(status.ToString());
    const std::string message(status.message());
    CHECK(message.find('\x1b') == std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK_FALSE(message.empty());
  }
  CHECK(failures > 100);
}

TEST_CASE("a member that floods a process makes it hold no more than its limits") {
  Random random(internal::TestSeed("flooding member"));
  Process process(1, 2, {.max_bytes_in_flight = 1 << 16});
  Worker worker(process.attempt, 0);  // has not built anything yet
  process.Announce(3);
  // One batch lies in each slab of this transport. A large charge stands for many batches, which
  // would take long.
  constexpr size_t kMostSlabs = 100;
  const uint32_t payload = 128 << 10;
  const uint32_t charged = 16 << 20;
  absl::Status status;
  for (int i = 0; status.ok() && i < 10'000; ++i) {
    internal::BatchFields fields{.dataflow = static_cast<uint32_t>(random() % 3),
                                 .channel = static_cast<uint32_t>(random()),
                                 .sender = 1,
                                 .record_count = 1,
                                 .charged_bytes = charged};
    Bytes frame = Copy(internal::EncodeBatchHead(fields, payload));
    frame.resize(frame.size() + payload);
    process.Receive(frame);
    status = worker.Step();
  }
  CheckError(status, absl::StatusCode::kResourceExhausted, {"process 1", "exceeds its credit"});
  CHECK(process.transport->slabs() <= kMostSlabs);
}

}  // namespace
}  // namespace headway
