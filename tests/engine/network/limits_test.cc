// The limits of the memory of a process when another one sends faster than its worker reads.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/worker.h"
#include "tests/engine/network/scripted_process.h"

namespace headway {
namespace {

TEST_CASE("a lack of memory in whoever pumps ends the run, and does not hang it") {
  Process process;
  process.transport->LoseMemory();
  try {
    while (!process.attempt.failure().occurred())
      process.network->Pump(true);  // or the watchdog was faster
  } catch (const std::bad_alloc&) {
    process.attempt.failure().ReportOutOfMemory();
  }
  CHECK(absl::IsResourceExhausted(process.network->Finish()));
}

TEST_CASE("rounds that a worker has no room for are added up, and none is lost") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Build(0);
  process.Announce(1);
  // One time after the other comes and goes; unsummed these are 8 MiB.
  constexpr uint64_t kTimes = 1 << 18;
  constexpr uint64_t kTimesPerRound = 1 << 12;
  for (uint64_t time = 0; time < kTimes;) {
    std::vector<Change> changes;
    for (uint64_t i = 0; i < kTimesPerRound; ++i, ++time) {
      changes.push_back({0, 1, time + 1});
      changes.push_back({0, -1, time});
    }
    process.Receive(ProgressFrame(0, changes));
  }
  std::map<uint64_t, int64_t> counts;
  size_t bytes_read = 0;
  for (int reads = 0; reads < 2; ++reads) {
    worker.ReceiveProgress([&](int from, uint32_t dataflow, std::span<const std::byte> bytes) {
      CHECK(from == process.network->endpoint_index());
      CHECK(dataflow == 0);
      bytes_read += bytes.size();
      std::vector<Change> changes(bytes.size() / kChangeBytes);
      std::memcpy(changes.data(), bytes.data(), bytes.size());
      for (const Change& change : changes) counts[change.time] += change.delta;
    });
    process.Pump();
  }
  std::erase_if(counts, [](const auto& entry) { return entry.second == 0; });
  CHECK(counts == std::map<uint64_t, int64_t>{{0, -1}, {kTimes, 1}});
  CHECK(bytes_read < size_t{2} << 20);
  CHECK_FALSE(process.attempt.failure().occurred());
}

// Rounds of 1 MiB for dataflows that are not built here.
constexpr int kRoundsPerLimit = 64;

Bytes LargeFrame(uint32_t dataflow) {
  return ProgressFrame(dataflow, std::vector<Change>((1 << 20) / kChangeBytes, {0, 1, 7}));
}

TEST_CASE("progress that a worker does not read ends the run when it is too much") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Announce(4);
  const Bytes frame = LargeFrame(3);
  const int fit = static_cast<int>(kFewFrames) + kRoundsPerLimit;
  for (int i = 0; i < fit; ++i) process.Receive(frame);
  CHECK_FALSE(process.attempt.failure().occurred());
  process.Receive(frame);
  CheckError(process.attempt.failure().status(), absl::StatusCode::kResourceExhausted,
             {"process 0", "does not keep up with the progress of the other processes"});
}

TEST_CASE(
    "progress of many dataflows that nobody has built ends the run when all of it is too much") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  constexpr uint32_t kDataflows = 2 * kRoundsPerLimit;
  process.Announce(kDataflows);
  uint32_t received = 0;
  while (received < kDataflows && !process.attempt.failure().occurred()) {
    process.Receive(LargeFrame(received++));
  }
  CHECK(received == kFewFrames + kRoundsPerLimit + 1);
  CheckError(process.attempt.failure().status(), absl::StatusCode::kResourceExhausted,
             {"process 0", "does not keep up with the progress of the other processes"});
}

TEST_CASE("progress of dataflows that a worker never builds ends the run when it is too much") {
  Process process;
  Worker worker(process.attempt, 0);
  process.Announce(5);
  const Bytes frames[] = {LargeFrame(3), LargeFrame(4)};
  absl::Status status;
  int received = 0;
  for (; status.ok() && received < 2 * kRoundsPerLimit; ++received) {
    process.Receive(frames[received % 2]);
    status = worker.Step();
  }
  CHECK(received == kRoundsPerLimit);  // each takes a little more than its bytes
  CheckError(status, absl::StatusCode::kResourceExhausted,
             {"worker 0", "has not built dataflow number"});
}

Bytes BatchFrame(const internal::BatchFields& fields, uint32_t payload_bytes) {
  Bytes frame = Copy(internal::EncodeBatchHead(fields, payload_bytes));
  frame.resize(frame.size() + payload_bytes);
  return frame;
}

TEST_CASE("batches beyond the credit of their process end the run, whatever they hold") {
  constexpr int64_t kLimit = 1 << 20;
  for (const uint32_t payload : {0U, 64U, 64U << 10}) {
    CAPTURE(payload);
    Process process(1, 2, {.max_bytes_in_flight = kLimit});
    Worker worker(process.attempt, 0);  // builds nothing
    process.Announce(1);
    // A large charge stands for many batches, which would take long.
    const uint32_t charged = 16 << 20;
    const Bytes frame =
        BatchFrame({.sender = 1, .record_count = 1, .charged_bytes = charged}, payload);
    int64_t received = 0;
    absl::Status status;
    for (; status.ok() && received < 1000; ++received) {
      process.Receive(frame);
      status = worker.Step();
    }
    CHECK(received * charged > 2 * kLimit);
    CHECK(received < 100);
    CheckError(status, absl::StatusCode::kResourceExhausted,
               {"process 1", "exceeds its credit", "process 0 holds", "raise max_bytes_in_flight"});
  }
}

TEST_CASE("bytes that were taken are credit again") {
  Process process(1, 2, {.max_bytes_in_flight = 1});
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Announce(1);
  constexpr uint32_t kCharged = 1 << 20;
  const Bytes frame = BatchFrame({.sender = 1, .record_count = 1, .charged_bytes = kCharged}, 64);
  for (int i = 0; i < 1000; ++i) {
    process.Receive(frame);
    worker.Receive([&](const internal::Message& message, int) { worker.Recycle(message.block()); });
    worker.Send(process.network->endpoint_index(),
                internal::Message::Returned(0, 0, {.sender = 1, .bytes = kCharged}));
    worker.Flush();
    process.Pump();
  }
  CHECK_FALSE(process.attempt.failure().occurred());
}

TEST_CASE("a process that announces far more dataflows than this one builds ends the run") {
  Process process;
  FrameEncoder encoder;
  const std::vector<std::string> steps = {std::string(size_t{1} << 20, 'x')};
  uint32_t announced = 0;
  while (announced < 200 && !process.attempt.failure().occurred()) {
    process.Receive(encoder.Graph(announced++, steps));
  }
  CHECK(announced > 60);
  CHECK(announced < 70);
  CheckError(process.attempt.failure().status(), absl::StatusCode::kResourceExhausted,
             {"process 1", "has built dataflow number", "so far behind"});
}

TEST_CASE("a worker's batches and progress leave behind the description of their dataflow") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Build(0);
  REQUIRE(worker.TryPublishProgress(0, AsRound({{0, 1, 5}})));
  internal::Block* block = worker.pool().Get();
  block->record_count = 1;
  block->charged_bytes = block->memory_bytes();
  worker.Send(
      process.network->endpoint_index(),
      internal::Message::Outgoing(0, 0, block, {.target = 1, .front_bytes = 64, .back_bytes = 0}));
  process.Pump();
  worker.Flush();
  process.Pump();
  const auto events = process.transport->TakeEvents();
  REQUIRE(events.size() == 3);
  CHECK(events[0].sent == FrameClass::kControl);
}

// Processes share the 64 KiB of a channel's exclusive credit, so each may withhold a part of it.
TEST_CASE("the more processes there are, the sooner each gives credit back") {
  for (const int processes : {2, 5}) {
    CAPTURE(processes);
    Process process(1, processes);
    internal::Endpoint worker(&process.attempt.fabric(), 0);
    auto take = [&](uint32_t bytes) {
      process.transport->TakeEvents();
      worker.Send(process.network->endpoint_index(),
                  internal::Message::Returned(0, 0, {.sender = 1, .bytes = bytes}));
      worker.Flush();
      process.Pump();
      const auto events = process.transport->TakeEvents();
      return std::ranges::count(events, FrameClass::kControl,
                                [](const auto& event) { return event.sent; });
    };
    const auto limit = static_cast<uint32_t>(internal::kExclusiveBytes / 2 / (processes - 1));
    CHECK(take(limit) == 1);
  }
}

TEST_CASE("progress that is larger than a frame may be ends the run, and says what to raise") {
  Process process(1, 2, {.cluster = {.max_frame_bytes = size_t{64} << 10}});
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Build(0);
  std::vector<Change> changes;
  for (uint64_t time = 0; time < 100'000; ++time) changes.push_back({0, 1, time * time});
  REQUIRE(worker.TryPublishProgress(0, AsRound(changes)));
  process.Pump();
  CheckError(process.attempt.failure().status(), absl::StatusCode::kResourceExhausted,
             {"process 0", "max_frame_bytes is 65536", "raise"});
}

// Waits as a worker does, and returns the events of the connection. The watchdog may be pumping.
std::vector<ScriptedTransport::Event> EventsOfWait(Process& process, internal::Endpoint& worker) {
  while (!process.network->TryWait(worker, std::nullopt, [] { return false; })) {
  }
  return process.transport->TakeEvents();
}

bool IsWait(const ScriptedTransport::Event& event) { return !event.sent.has_value(); }

TEST_CASE("who waits for all looks again soon while a fellow has no room for progress") {
  Process process(2);
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  internal::Endpoint fellow(&process.attempt.fabric(), 1);  // does not read
  process.Announce(1);
  for (size_t i = 0; i <= kFewFrames; ++i) process.Receive(ProgressFrame(0, {{0, 1, i}}));
  worker.ReceiveProgress([](int, uint32_t, std::span<const std::byte>) {});
  const auto events = EventsOfWait(process, worker);
  const auto wait = std::ranges::find_if(events, IsWait);
  REQUIRE(wait != events.end());
  REQUIRE(wait->waited.has_value());
  CHECK(*wait->waited <= std::chrono::milliseconds(1));
}

TEST_CASE("progress that had no room goes out before a wait, when there is room again") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  process.Build(0);
  process.Pump();
  process.transport->TakeEvents();
  process.transport->BackUp();
  CHECK(worker.TryPublishProgress(0, AsRound({{0, 1, 5}})));
  process.Pump();  // finds no room
  process.transport->MakeRoom();
  const auto events = EventsOfWait(process, worker);
  const auto wait = std::ranges::find_if(events, IsWait);
  REQUIRE(wait != events.end());
  CHECK(std::ranges::count_if(events.begin(), wait, [](const auto& event) {
          return event.sent == FrameClass::kProgress;
        }) == 1);
}

}  // namespace
}  // namespace headway
