// The connections of two processes, as two threads of this one. Measured: a frame there and back,
// an idle poll, and the bytes a second of one link.

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "check.h"
#include "comm/memory/block_pool.h"
#include "comm/mesh/tcp_mesh.h"
#include "comm/wire/wire.h"

namespace headway::internal {
namespace {

std::pair<int, int> Connected(bool tcp) {
  int ends[2];
  if (!tcp) {
    HEADWAY_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    return {ends[0], ends[1]};
  }
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* where = reinterpret_cast<sockaddr*>(&address);
  HEADWAY_CHECK(bind(listener, where, size) == 0 && listen(listener, 1) == 0);
  HEADWAY_CHECK(getsockname(listener, where, &size) == 0);
  ends[0] = socket(AF_INET, SOCK_STREAM, 0);
  HEADWAY_CHECK(connect(ends[0], where, size) == 0);
  ends[1] = accept(listener, nullptr, nullptr);
  close(listener);
  return {ends[0], ends[1]};
}

struct Counter : Transport::Handler {
  void OnFrame(int, const IncomingFrame& frame) override {
    ++frames;
    bytes += frame.bytes.size();
  }
  void OnLoss(int, const absl::Status&) override { lost = true; }
  uint64_t frames = 0;
  uint64_t bytes = 0;
  bool lost = false;
};

std::unique_ptr<TcpMesh> Join(int process, int socket) {
  int sockets[2] = {-1, -1};
  sockets[1 - process] = socket;
  auto mesh = TcpMesh::FromSockets({.process_id = process, .process_count = 2}, sockets);
  HEADWAY_CHECK(mesh.ok());
  return *std::move(mesh);
}

// This thread is process 0. `run` is process 1, on a thread of its own.
template <class Run>
std::unique_ptr<TcpMesh> StartPair(bool tcp, std::thread* thread, Run run) {
  const auto [own, other] = Connected(tcp);
  *thread = std::thread([other = other, run] { run(*Join(1, other)); });
  return Join(0, own);
}

void BM_RoundTrip(benchmark::State& state) {
  std::thread echo;
  const auto mesh = StartPair(state.range(0) != 0, &echo, [](TcpMesh& other) {
    FrameEncoder encoder;
    Counter counter;
    uint64_t answered = 0;
    while (!counter.lost) {
      if (!other.Poll(counter)) std::this_thread::yield();
      for (; answered < counter.frames; ++answered) {
        other.Send(0, {.frame_class = FrameClass::kProgress, .head = encoder.Stop()});
      }
      other.Flush();
    }
  });
  FrameEncoder encoder;
  Counter counter;
  uint64_t sent = 0;
  for (auto _ : state) {
    mesh->Send(1, {.frame_class = FrameClass::kProgress, .head = encoder.Stop()});
    mesh->Flush();
    ++sent;
    while (counter.frames < sent) {
      if (!mesh->Poll(counter)) std::this_thread::yield();
    }
  }
  mesh->Close(absl::ZeroDuration());
  echo.join();
}
BENCHMARK(BM_RoundTrip)->ArgName("tcp")->Arg(0)->Arg(1)->UseRealTime();

void BM_IdlePoll(benchmark::State& state) {
  std::thread nobody;
  std::atomic<bool> done{false};
  const auto mesh = StartPair(false, &nobody, [&](TcpMesh& other) {
    Counter counter;
    while (!done) {
      other.Poll(counter);
      other.Wait(std::chrono::milliseconds(10));
    }
  });
  Counter counter;
  for (auto _ : state) mesh->Poll(counter);
  done = true;
  nobody.join();
}
BENCHMARK(BM_IdlePoll);

void BM_Throughput(benchmark::State& state) {
  const auto payload = static_cast<uint32_t>(state.range(1));
  std::thread reader;
  std::atomic<uint64_t> taken{0};
  const auto mesh = StartPair(state.range(0) != 0, &reader, [&](TcpMesh& other) {
    Counter counter;
    while (!counter.lost) {
      if (!other.Poll(counter)) std::this_thread::yield();
      taken.store(counter.bytes, std::memory_order_relaxed);
    }
  });
  BlockPool pool;
  Counter counter;
  uint64_t sent = 0;
  const auto head = EncodeBatchHead({}, payload);
  for (auto _ : state) {
    Block* body = pool.GetAtLeast(payload);
    mesh->Send(
        1, {.frame_class = FrameClass::kData, .head = head, .body = body, .front_bytes = payload});
    sent += head.size() + payload;
    if (mesh->QueuedBytes(1, FrameClass::kData) < (256 << 10)) continue;
    while (!mesh->Flush()) {
      mesh->Poll(counter);
      std::this_thread::yield();
    }
    BlockList written = mesh->TakeWritten();
    while (Block* block = written.PopFront()) pool.Put(block);
  }
  while (!mesh->Flush()) mesh->Poll(counter);
  while (taken.load(std::memory_order_relaxed) < sent) std::this_thread::yield();
  state.SetBytesProcessed(static_cast<int64_t>(sent));
  mesh->Close(absl::ZeroDuration());
  reader.join();
}
BENCHMARK(BM_Throughput)
    ->ArgNames({"tcp", "payload"})
    ->ArgsProduct({{0, 1}, {1024, 16'256, 262'144}})
    ->UseRealTime();

}  // namespace
}  // namespace headway::internal
