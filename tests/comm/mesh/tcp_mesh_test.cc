#include "comm/mesh/tcp_mesh.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "comm/memory/block_pool.h"
#include "comm/wire/wire_generated.h"
#include "tests/comm/mesh/mesh_helpers.h"

namespace headway::internal {
namespace {

using Kind = wire::Body;

// Takes the meshes out of results that must be there.
struct Meshes {
  explicit Meshes(std::vector<MeshOr> results) {
    for (MeshOr& mesh : results) {
      REQUIRE_MESSAGE(mesh.ok(), mesh.status().ToString());
      owned.push_back(*std::move(mesh));
      all.push_back(owned.back().get());
    }
    recorders.resize(all.size());
  }
  TcpMesh& operator[](size_t process) { return *all[process]; }
  void PollUntil(const std::function<bool()>& done) { internal::PollUntil(all, recorders, done); }
  // Destroys one of them.
  void Drop(size_t process) {
    std::erase(all, owned[process].get());
    owned[process].reset();
    recorders.erase(recorders.begin() + static_cast<ptrdiff_t>(process));
  }

  std::vector<std::unique_ptr<TcpMesh>> owned;
  std::vector<TcpMesh*> all;
  std::vector<Recorder> recorders;
};

Meshes Pairs(const MeshOptions& options, bool tcp = false) {
  return Meshes(ConnectPairs(options, tcp));
}

// A block whose payload holds `front` ones and, at the end, `back` twos.
Block* MakeBody(uint32_t capacity, uint32_t front, uint32_t back) {
  BlockPool pool;
  Block* block = pool.GetAtLeast(capacity);
  std::memset(block->payload(), 0x77, block->capacity);
  std::memset(block->payload(), 1, front);
  std::memset(block->payload() + block->capacity - back, 2, back);
  return block;
}

void SendBatch(Transport& mesh, int to, uint32_t number, uint32_t front, uint32_t back) {
  const auto payload = static_cast<uint32_t>(PadToFrameAlignment(size_t{front} + back));
  const auto head = EncodeBatchHead({.record_count = number}, payload);
  mesh.Send(to, {.frame_class = FrameClass::kData,
                 .head = head,
                 .body = front + back == 0 ? nullptr : MakeBody(front + back, front, back),
                 .front_bytes = front,
                 .back_bytes = back});
}

// Whether a frame is what SendBatch sent.
void CheckBatch(const Recorder::Frame& frame, uint32_t number, uint32_t front, uint32_t back) {
  REQUIRE(frame.kind == static_cast<int>(Kind::Batch));
  const auto* batch =
      flatbuffers::GetSizePrefixedRoot<wire::Frame>(frame.bytes.data())->body_as_Batch();
  CHECK(batch->record_count() == number);
  const size_t padded = PadToFrameAlignment(size_t{front} + back);
  REQUIRE(frame.bytes.size() == kBatchHeadBytes + padded);
  const std::byte* records = frame.bytes.data() + kBatchHeadBytes;
  const std::byte* pad = records + front;
  const std::byte* tail = records + padded - back;
  CHECK(std::all_of(records, pad, [](std::byte b) { return b == std::byte{1}; }));
  CHECK(std::all_of(pad, tail, [](std::byte b) { return b == std::byte{0}; }));
  CHECK(std::all_of(tail, records + padded, [](std::byte b) { return b == std::byte{2}; }));
}

size_t FreeWritten(Transport& mesh) {
  BlockList written = mesh.TakeWritten();
  const size_t count = written.count();
  while (Block* block = written.PopFront()) BlockPool::FreeBlock(block);
  return count;
}

void SendProgress(Transport& mesh, int to, uint32_t number) {
  FrameEncoder encoder;
  const std::span rounds = std::as_bytes(std::span(&number, 1));
  mesh.Send(to, {.frame_class = FrameClass::kProgress, .head = encoder.Progress(rounds)});
}

void PollOne(TcpMesh& mesh, Recorder& recorder, const std::function<bool()>& done) {
  TcpMesh* const meshes[] = {&mesh};
  PollUntil(meshes, {&recorder, 1}, done);
}

void SendGoodbye(Transport& mesh, int to) {
  FrameEncoder encoder;
  mesh.Send(to, {.frame_class = FrameClass::kGoodbye, .head = encoder.Goodbye()});
}

TEST_CASE("processes connect over addresses, whichever starts first, and exchange frames") {
  for (const char* secret : {"", "a secret"}) {
    ReservedPorts ports(4);
    MeshOptions options = TestOptions(4);
    options.secret = secret;
    Meshes meshes(ConnectAll(options, ports.addresses()));
    for (int from = 0; from < 4; ++from) {
      CHECK(meshes[static_cast<size_t>(from)].process_id() == from);
      CHECK(meshes[static_cast<size_t>(from)].process_count() == 4);
      for (int to = 0; to < 4; ++to) {
        if (from != to) SendProgress(meshes[static_cast<size_t>(from)], to, 0);
      }
    }
    meshes.PollUntil([&] {
      return std::ranges::all_of(meshes.recorders,
                                 [](const Recorder& r) { return r.frames.size() == 3; });
    });
    for (const Recorder& recorder : meshes.recorders) CHECK(recorder.losses.empty());
    CHECK(meshes[0].Describe(2) == "process 2 (" + ports.addresses()[2] + ")");
  }
}

TEST_CASE("a cluster of one process has nobody to talk to") {
  ReservedPorts ports(1);
  Meshes meshes(ConnectAll(TestOptions(1), ports.addresses()));
  Recorder recorder;
  CHECK_FALSE(meshes[0].Poll(recorder));
  CHECK(meshes[0].Flush());
  meshes[0].Wait(std::chrono::milliseconds(1));
  meshes[0].Close(absl::Seconds(1));
}

TEST_CASE("frames of every class and size arrive in order, whole and unchanged") {
  for (const bool tcp : {false, true}) {
    Meshes meshes = Pairs(TestOptions(2), tcp);
    struct Size {
      uint32_t front, back;
    };
    const std::vector<Size> sizes = {{0, 0},         {1, 0},         {0, 1},           {64, 0},
                                     {63, 2},        {16'320, 0},    {40'000, 30'001}, {262'144, 0},
                                     {3'000'001, 7}, {65, 8'000'000}};
    uint32_t count = 0;
    size_t bodies = 0;
    for (int round = 0; round < 3; ++round) {
      for (const Size& size : sizes) {
        SendBatch(meshes[0], 1, count, size.front, size.back);
        SendProgress(meshes[0], 1, count);
        ++count;
        if (size.front + size.back > 0) ++bodies;
      }
    }
    std::vector<Recorder::Frame>& frames = meshes.recorders[1].frames;
    size_t written = 0;
    meshes.PollUntil([&] {
      written += FreeWritten(meshes[0]);
      return frames.size() == 2 * count;
    });
    CHECK(written == bodies);
    CHECK(meshes[0].QueuedBytes(1, FrameClass::kData) == 0);
    uint32_t batch = 0;
    uint32_t progress = 0;
    for (const Recorder::Frame& frame : frames) {
      if (frame.kind == static_cast<int>(Kind::Batch)) {
        const Size& size = sizes[batch % sizes.size()];
        CheckBatch(frame, batch++, size.front, size.back);
      } else {
        const auto* root = flatbuffers::GetSizePrefixedRoot<wire::Frame>(frame.bytes.data());
        REQUIRE(root->body_as_Progress() != nullptr);
        CHECK(flatbuffers::ReadScalar<uint32_t>(root->body_as_Progress()->rounds()->data()) ==
              progress++);
      }
    }
    CHECK(batch == count);
    CHECK(progress == count);
    CHECK(frames[0].kind == static_cast<int>(Kind::Progress));  // it overtakes data
  }
}

TEST_CASE("classes overtake each other in the order of urgency, but not a frame that has begun") {
  Meshes meshes = Pairs(TestOptions(2));
  FrameEncoder encoder;
  // Nobody reads: the socket is full after some of it.
  SendBatch(meshes[0], 1, 0, 32'000'000, 0);
  CHECK_FALSE(meshes[0].Flush());
  const size_t left = meshes[0].QueuedBytes(1, FrameClass::kData);
  CHECK(left > 0);
  CHECK(left < 32'000'000);
  SendGoodbye(meshes[0], 1);
  SendBatch(meshes[0], 1, 1, 64, 0);
  SendProgress(meshes[0], 1, 0);
  meshes[0].Send(1, {.frame_class = FrameClass::kControl, .head = encoder.Stop()});
  meshes[0].Send(
      1, {.frame_class = FrameClass::kAbort, .head = encoder.Abort(absl::InternalError("x"))});
  CHECK_FALSE(meshes[0].Flush());
  const std::vector<Recorder::Frame>& frames = meshes.recorders[1].frames;
  meshes.PollUntil([&] { return frames.size() == 6; });
  const Kind order[] = {Kind::Batch,    Kind::Abort, Kind::Stop,
                        Kind::Progress, Kind::Batch, Kind::Goodbye};
  for (size_t i = 0; i < 6; ++i) CHECK(frames[i].kind == static_cast<int>(order[i]));
  FreeWritten(meshes[0]);
}

TEST_CASE("a reader that is slow gets everything, and until then the sender knows what waits") {
  Meshes meshes = Pairs(TestOptions(2), /*tcp=*/true);
  constexpr uint32_t kCount = 3000;
  constexpr uint32_t kBytes = 16'000;
  for (uint32_t i = 0; i < kCount; ++i) {
    SendBatch(meshes[0], 1, i, kBytes, 0);
    meshes[0].Flush();
  }
  CHECK_FALSE(meshes[0].Flush());
  const size_t waiting = meshes[0].QueuedBytes(1, FrameClass::kData);
  CHECK(waiting > 0);
  const size_t written = FreeWritten(meshes[0]);
  CHECK(written < kCount);
  const size_t frame_bytes = kBatchHeadBytes + PadToFrameAlignment(kBytes);
  CHECK(waiting <= (kCount - written) * frame_bytes);
  CHECK(waiting > (kCount - written - 1) * frame_bytes);
  meshes.PollUntil([&] { return meshes.recorders[1].frames.size() == kCount; });
  for (uint32_t i = 0; i < kCount; ++i) CheckBatch(meshes.recorders[1].frames[i], i, kBytes, 0);
  CHECK(FreeWritten(meshes[0]) == kCount - written);
}

// Keeps the records where they arrived.
class BlockKeeper : public Transport::Handler {
 public:
  ~BlockKeeper() override {
    for (Block* block : blocks) BlockPool::FreeBlock(block);
  }
  void OnFrame(int, const IncomingFrame& frame) override {
    const wire::Batch& batch = *frame.frame->body_as_Batch();
    const uint32_t number = batch.record_count();
    const uint32_t bytes = batch.records()->size();
    Block* block = frame.slab->PlaceBlock(frame.bytes.data() + kBatchHeadBytes, bytes);
    block->record_count = number;
    blocks.push_back(block);
  }
  void OnLoss(int, const absl::Status&) override { ++losses; }
  std::vector<Block*> blocks;
  int losses = 0;
};

TEST_CASE("blocks stay where they arrived, as long as they are kept, also without the mesh") {
  BlockKeeper keeper;
  constexpr uint32_t kCount = 500;
  {
    Meshes meshes = Pairs(TestOptions(2));
    uint32_t sent = 0;
    while (keeper.blocks.size() < kCount) {
      if (sent < kCount) SendBatch(meshes[0], 1, sent, 64 * (sent % 300 + 1), 0);
      if (sent < kCount) ++sent;
      meshes[0].Flush();
      meshes[1].Poll(keeper);
      if (sent % 7 == 0 && keeper.blocks.size() > 20 && keeper.blocks[3] != nullptr) {
        BlockPool::FreeBlock(std::exchange(keeper.blocks[3], nullptr));
      }
    }
  }
  for (uint32_t i = 0; i < kCount; ++i) {
    if (i == 3) continue;
    const Block& block = *keeper.blocks[i];
    CHECK(block.record_count == i);
    REQUIRE(block.capacity == 64 * (i % 300 + 1));
    CHECK(std::all_of(block.payload(), block.payload() + block.capacity,
                      [](std::byte b) { return b == std::byte{1}; }));
  }
  if (keeper.blocks[3] == nullptr) std::erase(keeper.blocks, nullptr);
}

TEST_CASE("a process that is gone is a loss for all others, once") {
  for (const bool tcp : {false, true}) {
    Meshes meshes = Pairs(TestOptions(3), tcp);
    meshes.Drop(1);
    meshes.PollUntil([&] {
      return std::ranges::all_of(meshes.recorders,
                                 [](const Recorder& r) { return r.losses.size() == 1; });
    });
    for (const Recorder& recorder : meshes.recorders) {
      CHECK(recorder.losses[0].first == 1);
      CHECK(recorder.losses[0].second == absl::UnavailableError("process 1: connection lost"));
    }
    // Frames to it are dropped, and their blocks come back; the other links work.
    SendBatch(*meshes.all[0], 1, 0, 64, 0);
    CHECK(FreeWritten(*meshes.all[0]) == 1);
    SendProgress(*meshes.all[0], 2, 0);
    meshes.PollUntil([&] { return meshes.recorders[1].frames.size() == 1; });
    CHECK(meshes.recorders[0].losses.size() == 1);
  }
}

TEST_CASE("a process that goes after both have said goodbye is not lost") {
  for (const bool tcp : {false, true}) {
    Meshes meshes = Pairs(TestOptions(2), tcp);
    SendBatch(meshes[0], 1, 0, 5'000'000, 0);
    SendGoodbye(meshes[0], 1);
    SendGoodbye(meshes[1], 0);
    meshes[1].Flush();
    std::atomic<bool> closed{false};
    std::thread closing([&] {
      meshes[0].Close(absl::Seconds(30));
      closed = true;
    });
    Recorder& recorder = meshes.recorders[1];
    PollOne(meshes[1], recorder, [&] { return recorder.frames.size() == 2; });
    CHECK(recorder.frames[1].kind == static_cast<int>(Kind::Goodbye));
    CHECK_FALSE(closed);  // it waits for the other end
    for (int i = 0; i < 10; ++i) meshes[1].Poll(recorder);
    meshes[1].Close(absl::Seconds(30));
    closing.join();
    CHECK(recorder.losses.empty());
    CHECK(FreeWritten(meshes[0]) == 1);
  }
}

TEST_CASE("a process that goes after its goodbye, while another one is not done, is lost") {
  Meshes meshes = Pairs(TestOptions(2));
  SendGoodbye(meshes[0], 1);
  std::thread closing([&] { meshes[0].Close(absl::Seconds(30)); });
  Recorder& recorder = meshes.recorders[1];
  PollOne(meshes[1], recorder, [&] { return !recorder.losses.empty(); });
  closing.join();
  CHECK(recorder.frames.size() == 1);
  CHECK(recorder.losses[0].second.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("an abort arrives although the sender ends at once and has not read its input") {
  for (const bool tcp : {false, true}) {
    Meshes meshes = Pairs(TestOptions(2), tcp);
    for (uint32_t i = 0; i < 50; ++i) SendBatch(meshes[1], 0, i, 16'000, 0);
    meshes[1].Flush();
    FrameEncoder encoder;
    meshes[0].Send(
        1, {.frame_class = FrameClass::kAbort, .head = encoder.Abort(absl::InternalError("why"))});
    std::thread closing([&] { meshes[0].Close(absl::Seconds(30)); });
    Recorder& recorder = meshes.recorders[1];
    PollOne(meshes[1], recorder, [&] { return !recorder.losses.empty(); });
    closing.join();
    REQUIRE(recorder.frames.size() == 1);
    CHECK(recorder.frames[0].kind == static_cast<int>(Kind::Abort));
    CHECK(recorder.losses[0].second == absl::UnavailableError("process 0: connection lost"));
  }
}

TEST_CASE("closing and destroying do not wait for a peer that does nothing") {
  Meshes meshes = Pairs(TestOptions(2));
  SendBatch(meshes[0], 1, 0, 32'000'000, 0);
  const auto start = std::chrono::steady_clock::now();
  meshes[0].Close(absl::Milliseconds(20));
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(took >= std::chrono::milliseconds(19));
  CHECK(took < std::chrono::seconds(20));
  CHECK(FreeWritten(meshes[0]) == 1);
  SendBatch(meshes[1], 0, 0, 32'000'000, 0);  // freed with the mesh
}

TEST_CASE("idle connections are kept alive, and a silent peer is given up") {
  MeshOptions options = TestOptions(2);
  options.peer_timeout = absl::Milliseconds(400);
  Meshes meshes = Pairs(options);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1200)) {
    for (size_t i = 0; i < 2; ++i) {
      meshes[i].Poll(meshes.recorders[i]);
      meshes[i].Wait(std::chrono::milliseconds(1));
    }
  }
  for (const Recorder& recorder : meshes.recorders) {
    CHECK(recorder.losses.empty());
    CHECK(recorder.frames.empty());
  }
  // Now process 1 does nothing any more.
  Recorder& recorder = meshes.recorders[0];
  while (recorder.losses.empty()) {
    meshes[0].Poll(recorder);
    meshes[0].Wait(std::nullopt);  // returns for the timeouts
  }
  CHECK(recorder.losses[0].second == absl::UnavailableError("process 1: nothing heard for 400ms"));
  // When it comes back, it learns why it was left.
  Recorder& other = meshes.recorders[1];
  meshes.PollUntil([&] { return !other.losses.empty(); });
  REQUIRE(other.frames.size() == 1);
  const auto* abort = flatbuffers::GetSizePrefixedRoot<wire::Frame>(other.frames[0].bytes.data());
  CHECK(ReadAbort(*abort) ==
        absl::UnavailableError("process 0 gave up process 1: nothing heard for 400ms"));
  CHECK(recorder.losses.size() == 1);
}

TEST_CASE("a peer that has said goodbye shows that it lives until it was answered") {
  MeshOptions options = TestOptions(2);
  options.peer_timeout = absl::Milliseconds(400);
  Meshes meshes = Pairs(options);
  SendGoodbye(meshes[1], 0);
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1200)) {
    for (size_t i = 0; i < 2; ++i) {
      meshes[i].Flush();
      meshes[i].Poll(meshes.recorders[i]);
      meshes[i].Wait(std::chrono::milliseconds(1));
    }
  }
  for (const Recorder& recorder : meshes.recorders) CHECK(recorder.losses.empty());
  // Now it is silent, and process 0 still waits for something.
  Recorder& recorder = meshes.recorders[0];
  while (recorder.losses.empty()) {
    meshes[0].Poll(recorder);
    meshes[0].Wait(std::nullopt);  // returns for the timeouts
  }
  CHECK(recorder.losses[0].second == absl::UnavailableError("process 1: nothing heard for 400ms"));
}

TEST_CASE("a wake-up ends a wait, also one that comes later") {
  Meshes meshes = Pairs(TestOptions(2));
  Recorder recorder;
  meshes[0].Wake();
  meshes[0].Wake();
  meshes[0].Poll(recorder);
  meshes[0].Wait(std::nullopt);
  for (int round = 0; round < 300; ++round) {
    std::atomic<bool> asked{false};
    std::thread waker([&] {
      asked = true;
      meshes[0].Wake();
    });
    const auto start = std::chrono::steady_clock::now();
    while (!asked) meshes[0].Wait(std::chrono::seconds(60));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
    waker.join();
  }
  meshes[0].Wait(std::chrono::milliseconds(1));
  const auto start = std::chrono::steady_clock::now();
  meshes[0].Wait(std::chrono::nanoseconds(0));
  meshes[0].Wait(std::chrono::milliseconds(3));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
}

TEST_CASE("what arrives ends a wait") {
  Meshes meshes = Pairs(TestOptions(2));
  for (uint32_t round = 0; round < 100; ++round) {
    std::thread sender([&] {
      SendProgress(meshes[1], 0, round);
      meshes[1].Flush();
    });
    while (meshes.recorders[0].frames.size() <= round && meshes.recorders[0].losses.empty()) {
      meshes[0].Wait(std::nullopt);
      meshes[0].Poll(meshes.recorders[0]);
    }
    CHECK(meshes.recorders[0].losses.empty());
    sender.join();
  }
}

}  // namespace
}  // namespace headway::internal
