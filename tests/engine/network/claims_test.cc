// The claims in frames of another process that a process refuses.
#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "comm/wire/wire_generated.h"
#include "engine/worker.h"
#include "tests/engine/network/scripted_process.h"

namespace headway {
namespace {

// Sends a batch of worker 0 to worker 1, of process 1.
void SendBatch(Process& process, internal::Endpoint& worker, uint32_t charged_bytes) {
  internal::Block* block = worker.pool().Get();
  block->record_count = 1;
  block->charged_bytes = charged_bytes;
  worker.Send(
      process.network->endpoint_index(),
      internal::Message::Outgoing(0, 0, block, {.target = 1, .front_bytes = 64, .back_bytes = 0}));
  worker.Flush();
  process.Pump();
}

TEST_CASE("credit is believed up to what a process was sent and has not returned") {
  for (const bool too_much : {false, true}) {
    Process process;
    internal::Endpoint worker(&process.attempt.fabric(), 0);
    SendBatch(process, worker, 400);
    SendBatch(process, worker, 600);
    FrameEncoder encoder;
    uint32_t credit = 0;
    for (const uint32_t bytes : {600U, too_much ? 401U : 400U}) {
      const std::vector<FrameEncoder::ReturnedBytes> returned = {
          {.dataflow = 0, .channel = 0, .worker = 0, .bytes = bytes}};
      process.Receive(encoder.Credit(returned));
    }
    worker.Receive([&](const internal::Message& message, int) {
      CHECK(message.kind() == internal::MessageKind::kCredit);
      credit += message.credited().bytes;
    });
    if (too_much) {
      CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
                 {"process 1", "credit for more than it was sent"});
    } else {
      CHECK_FALSE(process.attempt.failure().occurred());
      CHECK(credit == 1000);
    }
  }
}

TEST_CASE("credit in smaller pieces than batches ends the run: they would be many messages") {
  Process process;
  internal::Endpoint worker(&process.attempt.fabric(), 0);
  SendBatch(process, worker, 1000);
  FrameEncoder encoder;
  const std::vector<FrameEncoder::ReturnedBytes> returned = {
      {.dataflow = 0, .channel = 0, .worker = 0, .bytes = 1}};
  process.Receive(encoder.Credit(returned));
  CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
             {"process 1", "credit for less than a batch"});
}

TEST_CASE("credit for a dataflow that the worker has not built ends the run") {
  Process process;
  internal::Endpoint fellow(&process.attempt.fabric(), 0);
  SendBatch(process, fellow, 1000);
  fellow.Close();
  Worker worker(process.attempt, 0);
  FrameEncoder encoder;
  const std::vector<FrameEncoder::ReturnedBytes> returned = {
      {.dataflow = 3, .channel = 0, .worker = 0, .bytes = 64}};
  process.Receive(encoder.Credit(returned));
  CheckError(worker.Step(), absl::StatusCode::kInvalidArgument,
             {"process 1", "credit for dataflow number 3", "worker 0"});
}

TEST_CASE("frames about a dataflow that its process has not announced end the run") {
  FrameEncoder encoder;
  const std::vector<std::string> none;
  Bytes batch = Copy(internal::EncodeBatchHead(
      {.dataflow = 1, .sender = 1, .record_count = 1, .charged_bytes = 64}, 0));
  const std::pair<Bytes, std::string> cases[] = {
      {batch, "a batch of a dataflow that it has not announced"},
      {ProgressFrame(1, {{0, 1, 5}}), "progress of a dataflow that it has not announced"},
      {Copy(encoder.Graph(2, none)), "the graph of a dataflow out of turn"},
      {Copy(encoder.Graph(0, none)), "the graph of a dataflow out of turn"},
  };
  for (const auto& [frame, what] : cases) {
    Process process;
    process.Announce(1);
    process.Receive(frame);
    CheckError(process.attempt.failure().status(), absl::StatusCode::kInvalidArgument,
               {"process 1", what});
  }
}

TEST_CASE("a batch that counts for less than it holds, or holds nothing, ends the run") {
  struct Case {
    uint32_t payload_bytes;
    uint32_t charged_bytes;
    uint32_t record_count;
    bool good;
  };
  for (const Case& each :
       {Case{1024, 1024, 1, true}, Case{1024, 1023, 1, false}, Case{1024, 1024, 0, false},
        Case{0, 64, 1, true}, Case{0, 0, 1, false}, Case{0, 63, 1, false},
        // A watermark.
        Case{64, 128, 0, true}, Case{0, 64, 0, false}}) {
    Process process;
    process.Announce(1);
    internal::Endpoint worker(&process.attempt.fabric(), 0);
    const auto head = internal::EncodeBatchHead({.dataflow = 0,
                                                 .channel = 0,
                                                 .sender = 1,
                                                 .target = 0,
                                                 .record_count = each.record_count,
                                                 .charged_bytes = each.charged_bytes},
                                                each.payload_bytes);
    Bytes frame = Copy(head);
    frame.resize(head.size() + each.payload_bytes);
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
