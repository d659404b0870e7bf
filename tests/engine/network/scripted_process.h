#ifndef HEADWAY_TESTS_ENGINE_NETWORK_SCRIPTED_PROCESS_H_
#define HEADWAY_TESTS_ENGINE_NETWORK_SCRIPTED_PROCESS_H_

#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "comm/memory/block_pool.h"
#include "comm/memory/slab.h"
#include "engine/network/network.h"
#include "engine/runtime/attempt.h"
#include "progress/compact_rounds.h"
#include "tests/engine/run_helpers.h"

// A process whose connections are the test: the test makes frames arrive, and sees those sent.

namespace headway {

using internal::BlockList;
using internal::FrameClass;
using internal::FrameEncoder;
using internal::OutgoingFrame;
using Bytes = std::vector<std::byte>;

inline Bytes Copy(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

// The transport of process 0. The test makes frames of process 1 arrive, and sees the frames sent.
class ScriptedTransport final : public internal::Transport {
 public:
  explicit ScriptedTransport(int processes)
      : process_count_(processes), pool_(internal::SlabPool::Create()) {}
  ~ScriptedTransport() override {
    while (internal::Block* block = written_.PopFront()) internal::BlockPool::FreeBlock(block);
    pool_->Release();
  }

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
  // The calls of Send and Wait, in order: the class of the frame, or the timeout.
  struct Event {
    std::optional<FrameClass> sent;
    std::optional<std::chrono::nanoseconds> waited;
  };
  std::vector<Event> TakeEvents() {
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

  // The frames of that class that were sent, in order.
  std::vector<Bytes> control_frames() const {
    std::lock_guard lock(mutex_);
    return control_frames_;
  }
  // The number of slabs that hold frames.
  size_t slabs() const { return pool_->outstanding(); }

  int process_id() const override { return 0; }
  int process_count() const override { return process_count_; }
  std::string Describe(int process) const override {
    return "process " + std::to_string(process) + " (of a test)";
  }
  void Send(int, const OutgoingFrame& frame) override {
    std::lock_guard lock(mutex_);
    events_.push_back({.sent = frame.frame_class, .waited = {}});
    if (frame.frame_class == FrameClass::kControl) control_frames_.push_back(Copy(frame.head));
    if (frame.body != nullptr) written_.PushBack(frame.body);
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
  BlockList TakeWritten() override {
    std::lock_guard lock(mutex_);
    return std::move(written_);
  }
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
  mutable std::mutex mutex_;  // guards the members below: the network has a watchdog
  std::deque<Bytes> arriving_;
  bool has_memory_ = true;
  bool backed_up_ = false;
  bool makes_room_ = false;
  std::vector<Event> events_;
  std::vector<Bytes> control_frames_;
  BlockList written_;
};

inline constexpr uint32_t kChangeBytes = 16;
inline constexpr size_t kFewFrames = 4;  // of progress, which a worker does not read

struct Change {
  uint32_t location;
  int32_t delta;
  uint64_t time;
};
static_assert(sizeof(Change) == kChangeBytes);

inline std::span<const std::byte> AsRound(const std::vector<Change>& changes) {
  return std::as_bytes(std::span(changes));
}

inline Bytes ProgressFrame(uint32_t dataflow, const std::vector<Change>& changes) {
  CompactRounds rounds;
  rounds.Add(dataflow, AsRound(changes), std::vector<uint32_t>{kChangeBytes});
  FrameEncoder encoder;
  return Copy(encoder.Progress(rounds.bytes()));
}

// Process 0 of some.
struct Process {
  explicit Process(int workers = 1, int processes = 2, const RunOptions& options = {})
      : run({.process = 0, .process_count = processes, .workers_per_process = workers}, options),
        attempt(run, {.progress_frames = kFewFrames}) {
    auto made = std::make_unique<ScriptedTransport>(processes);
    transport = made.get();
    network.emplace(attempt, std::move(made));
    attempt.set_network(&*network, network->ProcessNames());
  }
  // Dataflow `id`, of one location.
  void Build(uint32_t id) {
    network->AddDataflow(id,
                         {.change_bytes = {kChangeBytes}, .only_capabilities = {}, .initial = {}},
                         std::vector<std::string>{});
  }
  // Process 1 announces its dataflows below `count`, which have no steps.
  void Announce(uint32_t count) {
    FrameEncoder encoder;
    for (uint32_t id = 0; id < count; ++id) {
      Receive(encoder.Graph(id, std::vector<std::string>{}));
    }
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

  internal::RunContext run;
  internal::Attempt attempt;
  ScriptedTransport* transport;
  std::optional<internal::Network> network;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_NETWORK_SCRIPTED_PROCESS_H_
