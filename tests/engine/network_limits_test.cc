#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "headway/check.h"
#include "headway/comm/slab.h"
#include "headway/engine/network.h"
#include "headway/engine/run_state.h"
#include "headway/engine/worker.h"
#include "headway/progress/compact_rounds.h"
#include "headway/tests/engine/run_helpers.h"
#include "wire_generated.h"

// What a process keeps when another one sends faster than its worker reads, and what it believes.

namespace headway {
namespace {

using internal::BlockList;
using internal::FrameClass;
using internal::FrameEncoder;
using internal::OutgoingFrame;
using Bytes = std::vector<std::byte>;

Bytes Copy(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

// The end of process 0 of connections to others, which are the test: it says what arrives of
// process 1, and sees what is sent.
class ScriptedTransport final : public internal::Transport {
 public:
  explicit ScriptedTransport(int processes)
      : process_count_(processes), pool_(internal::SlabPool::Create()) {}
  ~ScriptedTransport() override { pool_->Release(); }

  // The next Poll gets this frame.
  void Arrive(std::span<const std::byte> frame) {
    std::lock_guard lock(mutex_);
    arriving_.push_back(Copy(frame));
  }
  // There is no room for progress, until the next Flush after MakeRoom by the test's thread.
  void BackUp() {
    std::lock_guard lock(mutex_);
    backed_up_ = true;
    makes_room_ = false;
  }
  void MakeRoom() {
    std::lock_guard lock(mutex_);
    makes_room_ = true;
  }
  // The next Poll, by whichever thread, finds no memory.
  void LoseMemory() {
    std::lock_guard lock(mutex_);
    has_memory_ = false;
  }
  // How often the test's thread has polled.
  int own_polls() const { return own_polls_; }
  // What was done, in order: the classes of frames that were sent, and how long was waited for.
  struct Event {
    std::optional<FrameClass> sent;
    std::optional<std::chrono::nanoseconds> waited;
  };
  std::vector<Event> TakeEvents() {
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

  int process_id() const override { return 0; }
  int process_count() const override { return process_count_; }
  std::string Describe(int process) const override {
    return "process " + std::to_string(process) + " (of a test)";
  }
  void Send(int, const OutgoingFrame& frame) override {
    std::lock_guard lock(mutex_);
    events_.push_back({.sent = frame.frame_class, .waited = {}});
  }
  bool Flush() override {
    std::lock_guard lock(mutex_);
    if (makes_room_ && IsOwnThread()) backed_up_ = false;
    return true;
  }
  size_t QueuedBytes(int, FrameClass frame_class) const override {
    std::lock_guard lock(mutex_);
    return backed_up_ && frame_class == FrameClass::kProgress ? size_t{1} << 20 : 0;
  }
  BlockList TakeWritten() override { return {}; }
  bool Poll(Handler& handler) override {
    std::deque<Bytes> frames;
    {
      std::lock_guard lock(mutex_);
      frames.swap(arriving_);
      if (!std::exchange(has_memory_, true)) throw std::bad_alloc();
    }
    for (const Bytes& frame : frames) {
      internal::Slab* slab = pool_->Get(frame.size());
      std::memcpy(slab->data(), frame.data(), frame.size());
      const std::span<std::byte> bytes(slab->data(), frame.size());
      const auto verified = internal::VerifyFrame(bytes);
      HEADWAY_CHECK(verified.ok());
      handler.OnFrame(1, {*verified, bytes, slab});
      slab->Unref();
    }
    if (IsOwnThread()) ++own_polls_;
    return !frames.empty();
  }
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override {
    std::lock_guard lock(mutex_);
    events_.push_back({.sent = {}, .waited = timeout});
  }
  void Wake() override {}
  void Close(absl::Duration) override {}

 private:
  bool IsOwnThread() const { return std::this_thread::get_id() == test_thread_; }

  const int process_count_;
  internal::SlabPool* const pool_;
  const std::thread::id test_thread_ = std::this_thread::get_id();
  int own_polls_ = 0;
  mutable std::mutex mutex_;  // guards what follows: the network has a watchdog
  std::deque<Bytes> arriving_;
  bool has_memory_ = true;
  bool backed_up_ = false;
  bool makes_room_ = false;
  std::vector<Event> events_;
};

constexpr uint32_t kChangeBytes = 16;
constexpr size_t kFewFrames = 4;  // of progress, which a worker does not read

struct Change {
  uint32_t location;
  int32_t delta;
  uint64_t time;
};
static_assert(sizeof(Change) == kChangeBytes);

std::span<const std::byte> AsRound(const std::vector<Change>& changes) {
  return std::as_bytes(std::span(changes));
}

Bytes ProgressFrame(uint32_t dataflow, const std::vector<Change>& changes) {
  CompactRounds rounds;
  rounds.Add(dataflow, AsRound(changes), std::vector<uint32_t>{kChangeBytes});
  FrameEncoder encoder;
  return Copy(encoder.Progress(rounds.bytes()));
}

// Process 0 of some.
struct Process {
  explicit Process(int workers = 1, int processes = 2, const RunOptions& options = {})
      : run({.process = 0, .process_count = processes, .workers_per_process = workers}, options,
            {.progress_frames = kFewFrames}) {
    auto made = std::make_unique<ScriptedTransport>(processes);
    transport = made.get();
    network.emplace(run, std::move(made));
    run.set_network(&*network);
  }
  // Dataflow `id`, of one location.
  void Build(uint32_t id) {
    network->AddDataflow(id,
                         {.change_bytes = {kChangeBytes}, .only_capabilities = {}, .initial = {}},
                         std::vector<std::string>{});
  }
  // Everything that has arrived so far is dealt with afterwards. The watchdog may be pumping, and
  // then Pump leaves the rest to it.
  void Pump() {
    const int polls = transport->own_polls();
    while (transport->own_polls() == polls) network->Pump(true);
  }
  void Receive(std::span<const std::byte> frame) {
    transport->Arrive(frame);
    Pump();
  }

  internal::RunState run;
  ScriptedTransport* transport;
  std::optional<internal::Network> network;
};

TEST_CASE("a lack of memory in whoever pumps ends the run, and does not hang it") {
  Process process;
  process.transport->LoseMemory();
  try {
    while (!process.run.failed()) process.network->Pump(true);  // or the watchdog was faster
  } catch (const std::bad_alloc&) {
    process.run.FailForLackOfMemory();
  }
  CHECK(absl::IsResourceExhausted(process.network->Finish()));
}

TEST_CASE("rounds that a worker has no room for are added up, and none is lost") {
  Process process;
  internal::Endpoint worker(&process.run.fabric(), 0);
  process.Build(0);
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
  CHECK_FALSE(process.run.failed());
}

// Rounds of 1 MiB for dataflows that are not built here.
constexpr int kRoundsPerLimit = 64;

Bytes LargeFrame(uint32_t dataflow) {
  return ProgressFrame(dataflow, std::vector<Change>((1 << 20) / kChangeBytes, {0, 1, 7}));
}

TEST_CASE("progress that a worker does not read ends the run when it is too much") {
  Process process;
  internal::Endpoint worker(&process.run.fabric(), 0);
  const Bytes frame = LargeFrame(3);
  const int fit = static_cast<int>(kFewFrames) + kRoundsPerLimit;
  for (int i = 0; i < fit; ++i) process.Receive(frame);
  CHECK_FALSE(process.run.failed());
  process.Receive(frame);
  CheckError(process.run.status(), absl::StatusCode::kResourceExhausted,
             {"process 0", "does not keep up with the progress of the other processes"});
}

TEST_CASE("progress of dataflows that a worker never builds ends the run when it is too much") {
  Process process;
  Worker worker(process.run, 0);
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

TEST_CASE("credit is believed up to what is in flight, all entries of a frame together") {
  for (const bool too_much : {false, true}) {
    Process process;
    internal::Endpoint worker(&process.run.fabric(), 0);
    process.run.flow_control().AddSent(0, 1000);
    const std::vector<FrameEncoder::ReturnedBytes> returned = {
        {.dataflow = 0, .channel = 0, .worker = 0, .bytes = 600},
        {.dataflow = 0, .channel = 1, .worker = 0, .bytes = too_much ? 401U : 400U}};
    FrameEncoder encoder;
    process.Receive(encoder.Credit(returned));
    if (too_much) {
      CheckError(process.run.status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "credit for more than it was sent"});
      continue;
    }
    CHECK_FALSE(process.run.failed());
    uint32_t credit = 0;
    worker.Receive([&](const internal::Message& message, int) {
      CHECK(message.kind == internal::kCredit);
      credit += message.charged_bytes;
    });
    CHECK(credit == 1000);
  }
}

TEST_CASE("credit for a dataflow that the worker has not built ends the run") {
  Process process;
  Worker worker(process.run, 0);
  process.run.flow_control().AddSent(0, 1000);
  FrameEncoder encoder;
  const std::vector<FrameEncoder::ReturnedBytes> returned = {
      {.dataflow = 3, .channel = 0, .worker = 0, .bytes = 1}};
  process.Receive(encoder.Credit(returned));
  CheckError(worker.Step(), absl::StatusCode::kInvalidArgument,
             {"process 1", "credit for dataflow number 3", "worker 0"});
}

TEST_CASE(
    "a batch that counts for less than it holds, or of a dataflow that cannot be, ends the run") {
  constexpr uint32_t kPayload = 1024;
  struct Case {
    uint32_t dataflow;
    uint32_t charged_bytes;
    bool good;
  };
  for (const Case& each : {Case{0, kPayload, true}, Case{0, kPayload - 1, false},
                           Case{internal::kMaxDataflows, kPayload, false}}) {
    Process process;
    internal::Endpoint worker(&process.run.fabric(), 0);
    const auto head = internal::EncodeBatchHead({.dataflow = each.dataflow,
                                                 .channel = 0,
                                                 .sender = 1,
                                                 .target = 0,
                                                 .record_count = 1,
                                                 .charged_bytes = each.charged_bytes},
                                                kPayload);
    Bytes frame = Copy(head);
    frame.resize(head.size() + kPayload);
    process.Receive(frame);
    CHECK(process.run.failed() != each.good);
    if (!each.good) {
      CheckError(process.run.status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "a batch"});
    }
    worker.Receive([&](const internal::Message& message, int) { worker.Recycle(message.block); });
  }
}

// Offsets of a FlatBuffer may all lead to the same string.
TEST_CASE("a graph whose steps take more than its frame has ends the run, and no memory") {
  for (const size_t steps : {size_t{1}, size_t{100}}) {
    CAPTURE(steps);
    flatbuffers::FlatBufferBuilder builder;
    const auto step = builder.CreateString(std::string(1000, 'x'));
    const auto list = builder.CreateVector(std::vector(steps, step));
    const auto graph = wire::CreateGraph(builder, 0, list);
    builder.FinishSizePrefixed(wire::CreateFrame(builder, wire::Body::Graph, graph.Union()));
    Bytes frame = Copy(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
    frame.resize((frame.size() + 63) / 64 * 64);
    const auto size = static_cast<uint32_t>(frame.size() - sizeof(uint32_t));
    std::memcpy(frame.data(), &size, sizeof(size));
    Process process;
    process.Receive(frame);
    if (steps == 1) {
      CHECK_FALSE(process.run.failed());
    } else {
      CheckError(process.run.status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "overlap"});
    }
  }
}

// What each of several processes may keep of the 64 KiB that a channel's sender has for all of
// them.
TEST_CASE("the more processes there are, the sooner each gives credit back") {
  for (const int processes : {2, 5}) {
    CAPTURE(processes);
    Process process(1, processes);
    internal::Endpoint worker(&process.run.fabric(), 0);
    auto take = [&](uint32_t bytes) {
      process.transport->TakeEvents();
      worker.Send(process.network->endpoint_index(),
                  {.kind = internal::kReturned, .extra = 1, .charged_bytes = bytes});
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
  internal::Endpoint worker(&process.run.fabric(), 0);
  process.Build(0);
  std::vector<Change> changes;
  for (uint64_t time = 0; time < 100'000; ++time) changes.push_back({0, 1, time * time});
  REQUIRE(worker.TryPublishProgress(0, AsRound(changes)));
  process.Pump();
  CheckError(process.run.status(), absl::StatusCode::kResourceExhausted,
             {"process 0", "max_frame_bytes is 65536", "raise"});
}

// Waits as a worker does, and returns what the connection saw. The watchdog may be pumping.
std::vector<ScriptedTransport::Event> EventsOfWait(Process& process, internal::Endpoint& worker) {
  while (!process.network->TryWait(worker, std::nullopt, [] { return false; })) {
  }
  return process.transport->TakeEvents();
}

bool IsWait(const ScriptedTransport::Event& event) { return !event.sent.has_value(); }

TEST_CASE("who waits for all looks again soon while a fellow has no room for progress") {
  Process process(2);
  internal::Endpoint worker(&process.run.fabric(), 0);
  internal::Endpoint fellow(&process.run.fabric(), 1);  // does not read
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
  internal::Endpoint worker(&process.run.fabric(), 0);
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
