#include "tests/engine/thread_cluster.h"

#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/memory/slab.h"
#include "comm/mesh/tcp_mesh.h"
#include "engine/run_program.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using internal::Block;
using internal::BlockList;
using internal::FrameClass;
using internal::OutgoingFrame;
using internal::Slab;
using internal::SlabPool;

// The order in which waiting frames are delivered.
constexpr std::array kByUrgency = {FrameClass::kAbort, FrameClass::kControl, FrameClass::kProgress,
                                   FrameClass::kData, FrameClass::kGoodbye};

class MemoryTransport final : public internal::Transport {
 public:
  MemoryTransport(int process, int processes)
      : process_(process), count_(processes), pool_(SlabPool::Create()) {}
  ~MemoryTransport() override { pool_->Release(); }

  void Connect(std::vector<MemoryTransport*> peers) { peers_ = std::move(peers); }

  int process_id() const override { return process_; }
  int process_count() const override { return count_; }
  std::string Describe(int process) const override {
    return absl::StrFormat("process %d (in memory)", process);
  }

  void Send(int process, const OutgoingFrame& frame) override {
    std::vector<std::byte> bytes(frame.head.begin(), frame.head.end());
    if (frame.body != nullptr) {
      const std::byte* payload = frame.body->payload();
      const size_t used = size_t{frame.front_bytes} + frame.back_bytes;
      bytes.insert(bytes.end(), payload, payload + frame.front_bytes);
      bytes.resize(bytes.size() + internal::PadToFrameAlignment(used) - used);
      bytes.insert(bytes.end(), payload + frame.body->capacity - frame.back_bytes,
                   payload + frame.body->capacity);
      written_.PushBack(frame.body);
    }
    MemoryTransport& peer = *peers_[static_cast<size_t>(process)];
    {
      std::lock_guard lock(peer.mutex_);
      peer.arrived_[static_cast<size_t>(frame.frame_class)].push_back({process_, std::move(bytes)});
    }
    peer.arrival_.notify_all();
  }
  bool Flush() override { return true; }
  size_t QueuedBytes(int, FrameClass) const override { return 0; }
  BlockList TakeWritten() override { return std::move(written_); }

  bool Poll(Handler& handler) override {
    // All at once: a frame never precedes a more urgent one that was sent before it.
    decltype(arrived_) frames;
    {
      std::lock_guard lock(mutex_);
      std::swap(frames, arrived_);
    }
    bool any = false;
    for (FrameClass frame_class : kByUrgency) {
      for (const Frame& frame : frames[static_cast<size_t>(frame_class)]) {
        Deliver(handler, frame);
        any = true;
      }
    }
    return any;
  }

  void Wait(std::optional<std::chrono::nanoseconds> timeout) override {
    std::unique_lock lock(mutex_);
    auto ready = [this] {
      if (std::exchange(woken_, false)) return true;
      for (const auto& frames : arrived_) {
        if (!frames.empty()) return true;
      }
      return false;
    };
    if (timeout.has_value()) {
      arrival_.wait_for(lock, *timeout, ready);
    } else {
      arrival_.wait(lock, ready);
    }
  }
  void Wake() override {
    {
      std::lock_guard lock(mutex_);
      woken_ = true;
    }
    arrival_.notify_all();
  }
  void Close(absl::Duration) override {}

 private:
  struct Frame {
    int from;
    std::vector<std::byte> bytes;
  };

  void Deliver(Handler& handler, const Frame& frame) {
    Slab* slab = pool_->Get(frame.bytes.size());
    std::memcpy(slab->data(), frame.bytes.data(), frame.bytes.size());
    const std::span<std::byte> bytes(slab->data(), frame.bytes.size());
    auto verified = internal::VerifyFrame(bytes);
    HEADWAY_CHECK(verified.ok());
    handler.OnFrame(frame.from, {*verified, bytes, slab});
    slab->Unref();
  }

  const int process_;
  const int count_;
  SlabPool* const pool_;
  std::vector<MemoryTransport*> peers_;
  BlockList written_;

  std::mutex mutex_;  // guards the members below
  std::condition_variable arrival_;
  std::array<std::deque<Frame>, kByUrgency.size()> arrived_;  // by class
  bool woken_ = false;
};

// Keeps all transports of a mesh until the last of them goes: they write into each other.
class SharedTransport final : public internal::Transport {
 public:
  SharedTransport(std::shared_ptr<std::vector<std::unique_ptr<MemoryTransport>>> all, int process)
      : all_(std::move(all)), own_(*(*all_)[static_cast<size_t>(process)]) {}

  int process_id() const override { return own_.process_id(); }
  int process_count() const override { return own_.process_count(); }
  std::string Describe(int process) const override { return own_.Describe(process); }
  void Send(int process, const OutgoingFrame& frame) override { own_.Send(process, frame); }
  bool Flush() override { return own_.Flush(); }
  size_t QueuedBytes(int process, FrameClass frame_class) const override {
    return own_.QueuedBytes(process, frame_class);
  }
  BlockList TakeWritten() override { return own_.TakeWritten(); }
  bool Poll(Handler& handler) override { return own_.Poll(handler); }
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override { own_.Wait(timeout); }
  void Wake() override { own_.Wake(); }
  void Close(absl::Duration timeout) override { own_.Close(timeout); }

 private:
  const std::shared_ptr<std::vector<std::unique_ptr<MemoryTransport>>> all_;
  MemoryTransport& own_;
};

}  // namespace

std::vector<std::unique_ptr<internal::Transport>> MemoryMesh(int processes) {
  auto all = std::make_shared<std::vector<std::unique_ptr<MemoryTransport>>>();
  std::vector<MemoryTransport*> peers;
  for (int process = 0; process < processes; ++process) {
    peers.push_back(all->emplace_back(std::make_unique<MemoryTransport>(process, processes)).get());
  }
  std::vector<std::unique_ptr<internal::Transport>> transports;
  for (int process = 0; process < processes; ++process) {
    peers[static_cast<size_t>(process)]->Connect(peers);
    transports.push_back(std::make_unique<SharedTransport>(all, process));
  }
  return transports;
}

std::vector<std::unique_ptr<internal::Transport>> SocketMesh(int processes,
                                                             int workers_per_process) {
  std::vector<std::vector<int>> sockets(static_cast<size_t>(processes));
  for (auto& of_process : sockets) of_process.assign(static_cast<size_t>(processes), -1);
  for (size_t a = 0; a < sockets.size(); ++a) {
    for (size_t b = a + 1; b < sockets.size(); ++b) {
      int pair[2];
      HEADWAY_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
      sockets[a][b] = pair[0];
      sockets[b][a] = pair[1];
    }
  }
  std::vector<std::unique_ptr<internal::Transport>> transports(sockets.size());
  std::vector<std::thread> threads;
  for (size_t process = 0; process < sockets.size(); ++process) {
    threads.emplace_back([&, process] {
      auto mesh = internal::TcpMesh::FromSockets({.process_id = static_cast<int>(process),
                                                  .process_count = processes,
                                                  .workers_per_process = workers_per_process},
                                                 sockets[process]);
      CheckOk(mesh.status());
      transports[process] = *std::move(mesh);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return transports;
}

std::vector<absl::Status> RunInThreads(std::vector<std::unique_ptr<internal::Transport>> transports,
                                       const Dataflow& dataflow, int workers_per_process,
                                       absl::FunctionRef<RunOptions(int)> options_of) {
  std::vector<absl::Status> statuses(transports.size());
  std::vector<std::thread> threads;
  for (size_t process = 0; process < transports.size(); ++process) {
    threads.emplace_back([&, process, options = options_of(static_cast<int>(process))] {
      statuses[process] = internal::RunProcess(internal::DataflowProgram(dataflow), options,
                                               workers_per_process, std::move(transports[process]));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return statuses;
}

absl::Status RunInShape(const Dataflow& dataflow, Shape shape, const RunOptions& options) {
  std::vector<std::unique_ptr<internal::Transport>> transports(1);  // null: a process alone
  if (shape.processes > 1) transports = SocketMesh(shape.processes, shape.workers);
  const std::vector<absl::Status> statuses =
      RunInThreads(std::move(transports), dataflow, shape.workers, [&](int) { return options; });
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace headway
