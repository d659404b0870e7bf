// The claims in frames of another process that a process refuses.
#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "comm/wire/wire_generated.h"
#include "engine/worker.h"
#include "tests/engine/network/scripted_process.h"

namespace headway {
namespace {

TEST_CASE("credit is believed up to what is in flight, all entries of a frame together") {
  for (const bool too_much : {false, true}) {
    Process process;
    internal::Endpoint worker(&process.attempt.fabric(), 0);
    process.attempt.flow_control().AddSent(0, 1000);
    const std::vector<FrameEncoder::ReturnedBytes> returned = {
        {.dataflow = 0, .channel = 0, .worker = 0, .bytes = 600},
        {.dataflow = 0, .channel = 1, .worker = 0, .bytes = too_much ? 401U : 400U}};
    FrameEncoder encoder;
    process.Receive(encoder.Credit(returned));
    if (too_much) {
      CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "credit for more than it was sent"});
      continue;
    }
    CHECK_FALSE(process.attempt.failure().occurred());
    uint32_t credit = 0;
    worker.Receive([&](const internal::Message& message, int) {
      CHECK(message.kind() == internal::MessageKind::kCredit);
      credit += message.credited().bytes;
    });
    CHECK(credit == 1000);
  }
}

TEST_CASE("credit for a dataflow that the worker has not built ends the run") {
  Process process;
  Worker worker(process.attempt, 0);
  process.attempt.flow_control().AddSent(0, 1000);
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
    internal::Endpoint worker(&process.attempt.fabric(), 0);
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
    CHECK(process.attempt.failure().occurred() != each.good);
    if (!each.good) {
      CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "a batch"});
    }
    worker.Receive([&](const internal::Message& message, int) { worker.Recycle(message.block()); });
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
      CHECK_FALSE(process.attempt.failure().occurred());
    } else {
      CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "overlap"});
    }
  }
}

}  // namespace
}  // namespace headway
