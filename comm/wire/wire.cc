#include "comm/wire/wire.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/wire/printable.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// The most bytes of the message of an Abort, at both ends.
constexpr size_t kMaxMessageBytes = 16 * 1024;

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrFormat("malformed frame: %s", what));
}

template <class T>
bool IsAligned(const T* at, size_t alignment) {
  return reinterpret_cast<uintptr_t>(at) % alignment == 0;
}

// Whether the elements of a vector can be read in place; one without any may lie anywhere.
template <class T>
bool HasAlignedElements(const flatbuffers::Vector<T>* vector, size_t alignment) {
  return vector != nullptr && (vector->size() == 0 || IsAligned(vector->data(), alignment));
}

// Puts a batch frame with 64 bytes of records together; the head of every other one differs in its
// fields only.
std::array<std::byte, kBatchHeadBytes> MakeBatchHeadTemplate() {
  FlatBufferBuilder builder(512);
  builder.ForceDefaults(true);  // so that every field has a place
  // FlatBuffers aligns to 32 at most. The records are at the end, so the check of the size below
  // says that they are aligned to 64.
  builder.ForceVectorAlignment(kFrameAlignment, 1, FLATBUFFERS_MAX_ALIGNMENT);
  uint8_t* records = nullptr;
  auto vector = builder.CreateUninitializedVector(kFrameAlignment, 1, &records);
  std::memset(records, 0, kFrameAlignment);
  wire::Time time;
  auto batch = wire::CreateBatch(builder, 0, 0, 0, 0, 0, 0, &time, vector);
  builder.FinishSizePrefixed(wire::CreateFrame(builder, wire::Body::Batch, batch.Union()));
  std::array<std::byte, kBatchHeadBytes> head;
  HEADWAY_CHECK(builder.GetSize() == kBatchHeadBytes + kFrameAlignment);
  std::memcpy(head.data(), builder.GetBufferPointer(), head.size());
  return head;
}

absl::Status CheckBatch(const wire::Batch& batch, std::span<const std::byte> frame) {
  if (batch.time() == nullptr || batch.records() == nullptr) {
    return Malformed("a batch has no time or no records");
  }
  const auto* records = reinterpret_cast<const std::byte*>(batch.records()->data());
  if (!IsAligned(batch.time(), 8) || !IsAligned(records, kFrameAlignment)) {
    return Malformed("a batch is not aligned");
  }
  if (records + batch.records()->size() != frame.data() + frame.size()) {
    return Malformed("the records of a batch are not the end of its frame");
  }
  if (static_cast<size_t>(records - frame.data()) < kBatchHeadBytes) {
    return Malformed("the head of a batch is too short");
  }
  return absl::OkStatus();
}

absl::Status CheckBody(const wire::Frame& frame, std::span<const std::byte> bytes) {
  switch (frame.body_type()) {
    case wire::Body::Batch:
      return CheckBatch(*frame.body_as_Batch(), bytes);
    case wire::Body::Progress:
      if (frame.body_as_Progress()->rounds() == nullptr) {
        return Malformed("a progress frame has no rounds");
      }
      return absl::OkStatus();
    case wire::Body::Credit: {
      const auto* returned = frame.body_as_Credit()->returned();
      if (!HasAlignedElements(returned, alignof(wire::Returned))) {
        return Malformed("the entries of a credit frame are absent or not aligned");
      }
      return absl::OkStatus();
    }
    case wire::Body::Graph:
      if (frame.body_as_Graph()->steps() == nullptr) return Malformed("a graph has no steps");
      return absl::OkStatus();
    case wire::Body::Hello: {
      const wire::Hello& hello = *frame.body_as_Hello();
      if (hello.cluster() == nullptr || hello.nonce() == nullptr ||
          hello.nonce()->size() != kNonceBytes) {
        return Malformed("a hello lacks the name of the cluster or has a nonce of a wrong size");
      }
      return absl::OkStatus();
    }
    case wire::Body::Proof: {
      const auto* mac = frame.body_as_Proof()->mac();
      if (mac == nullptr || (mac->size() != 0 && mac->size() != kMacBytes)) {
        return Malformed("a proof has no MAC, or one of a wrong size");
      }
      return absl::OkStatus();
    }
    case wire::Body::Abort:
      if (frame.body_as_Abort()->message() == nullptr) return Malformed("an abort has no message");
      return absl::OkStatus();
    case wire::Body::Stop:
    case wire::Body::Heartbeat:
    case wire::Body::Goodbye:
      return absl::OkStatus();
    case wire::Body::NONE:
      break;
  }
  return Malformed(absl::StrFormat("unknown kind %d", static_cast<int>(frame.body_type())));
}

}  // namespace

std::array<std::byte, kBatchHeadBytes> EncodeBatchHead(const BatchFields& fields,
                                                       uint32_t payload_bytes) {
  HEADWAY_DCHECK(payload_bytes % kFrameAlignment == 0);
  static const std::array<std::byte, kBatchHeadBytes> kTemplate = MakeBatchHeadTemplate();
  alignas(8) std::array<std::byte, kBatchHeadBytes> head = kTemplate;
  wire::Frame* frame = flatbuffers::GetMutableRoot<wire::Frame>(head.data() + kSizePrefixBytes);
  auto* batch = static_cast<wire::Batch*>(frame->mutable_body());
  batch->mutate_dataflow(fields.dataflow);
  batch->mutate_channel(fields.channel);
  batch->mutate_sender(fields.sender);
  batch->mutate_target(fields.target);
  batch->mutate_record_count(fields.record_count);
  batch->mutate_charged_bytes(fields.charged_bytes);
  std::memcpy(batch->mutable_time(), fields.time.data(), fields.time.size());
  const auto prefix = static_cast<uint32_t>(kBatchHeadBytes - kSizePrefixBytes) + payload_bytes;
  flatbuffers::WriteScalar(head.data(), prefix);
  flatbuffers::WriteScalar(head.data() + kBatchHeadBytes - sizeof(uint32_t), payload_bytes);
  return head;
}

struct FrameEncoder::State {
  FlatBufferBuilder builder{1024};
  std::vector<std::byte> padded;

  template <class Body>
  std::span<const std::byte> Finish(wire::Body kind, Offset<Body> body) {
    builder.FinishSizePrefixed(wire::CreateFrame(builder, kind, body.Union()));
    const size_t size = PadToFrameAlignment(builder.GetSize());
    padded.resize(size);
    std::memcpy(padded.data(), builder.GetBufferPointer(), builder.GetSize());
    std::fill(padded.begin() + builder.GetSize(), padded.end(), std::byte{0});
    flatbuffers::WriteScalar(padded.data(), static_cast<uint32_t>(size - kSizePrefixBytes));
    builder.Clear();
    return padded;
  }

  Offset<flatbuffers::Vector<uint8_t>> Bytes(std::span<const std::byte> bytes) {
    return builder.CreateVector(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
};

FrameEncoder::FrameEncoder() : state_(std::make_unique<State>()) {}
FrameEncoder::~FrameEncoder() = default;

std::span<const std::byte> FrameEncoder::Progress(std::span<const std::byte> rounds) {
  auto vector = state_->Bytes(rounds);
  return state_->Finish(wire::Body::Progress, wire::CreateProgress(state_->builder, vector));
}

std::span<const std::byte> FrameEncoder::Credit(std::span<const ReturnedBytes> returned) {
  std::vector<wire::Returned> entries;
  entries.reserve(returned.size());
  for (const ReturnedBytes& entry : returned) {
    entries.emplace_back(entry.dataflow, entry.channel, entry.worker, entry.bytes);
  }
  auto vector = state_->builder.CreateVectorOfStructs(entries);
  return state_->Finish(wire::Body::Credit, wire::CreateCredit(state_->builder, vector));
}

std::span<const std::byte> FrameEncoder::Graph(uint32_t dataflow,
                                               std::span<const std::string> steps) {
  std::vector<Offset<flatbuffers::String>> strings;
  strings.reserve(steps.size());
  for (const std::string& step : steps) strings.push_back(state_->builder.CreateString(step));
  auto vector = state_->builder.CreateVector(strings);
  return state_->Finish(wire::Body::Graph, wire::CreateGraph(state_->builder, dataflow, vector));
}

std::span<const std::byte> FrameEncoder::Stop() {
  return state_->Finish(wire::Body::Stop, wire::CreateStop(state_->builder));
}

std::span<const std::byte> FrameEncoder::Hello(const HelloFields& fields) {
  auto cluster = state_->builder.CreateString(fields.cluster);
  auto nonce = state_->Bytes(fields.nonce);
  return state_->Finish(
      wire::Body::Hello,
      wire::CreateHello(state_->builder, fields.version, fields.generation, fields.process,
                        fields.process_count, fields.workers_per_process, cluster, fields.secret,
                        nonce));
}

std::span<const std::byte> FrameEncoder::Proof(std::span<const std::byte> mac) {
  auto vector = state_->Bytes(mac);
  return state_->Finish(wire::Body::Proof, wire::CreateProof(state_->builder, vector));
}

std::span<const std::byte> FrameEncoder::Heartbeat() {
  return state_->Finish(wire::Body::Heartbeat, wire::CreateHeartbeat(state_->builder));
}

std::span<const std::byte> FrameEncoder::Goodbye() {
  return state_->Finish(wire::Body::Goodbye, wire::CreateGoodbye(state_->builder));
}

std::span<const std::byte> FrameEncoder::Abort(const absl::Status& status) {
  std::string message(status.message());
  if (message.size() > kMaxMessageBytes) message.resize(kMaxMessageBytes);
  auto text = state_->builder.CreateString(message);
  return state_->Finish(
      wire::Body::Abort,
      wire::CreateAbort(state_->builder, static_cast<int32_t>(status.code()), text));
}

absl::StatusOr<size_t> FrameSize(const std::byte* prefix, size_t max_frame_bytes) {
  const size_t size = kSizePrefixBytes + flatbuffers::ReadScalar<uint32_t>(prefix);
  if (size % kFrameAlignment != 0) {
    return Malformed(absl::StrFormat(
        "its size, %d bytes, is not a multiple of %d: this is not a Headway process, or the "
        "connection has lost bytes",
        size, kFrameAlignment));
  }
  if (size > max_frame_bytes) {
    return Malformed(
        absl::StrFormat("it has %d bytes, and the limit is %d", size, max_frame_bytes));
  }
  return size;
}

absl::StatusOr<const wire::Frame*> VerifyFrame(std::span<const std::byte> bytes) {
  HEADWAY_DCHECK(IsAligned(bytes.data(), kFrameAlignment));
  constexpr size_t kMaxDepth = 8;
  constexpr size_t kMaxTables = 16;
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                                 kMaxDepth, kMaxTables);
  if (bytes.size() < kFrameAlignment || !verifier.VerifySizePrefixedBuffer<wire::Frame>(nullptr)) {
    return Malformed("its tables do not fit in it");
  }
  const auto* frame = flatbuffers::GetSizePrefixedRoot<wire::Frame>(bytes.data());
  if (frame->body() == nullptr) return Malformed("it has no body");
  if (absl::Status status = CheckBody(*frame, bytes); !status.ok()) return status;
  return frame;
}

HelloFields ReadHello(const wire::Frame& frame) {
  const wire::Hello& hello = *frame.body_as_Hello();
  HelloFields fields{.version = hello.version(),
                     .generation = hello.generation(),
                     .process = hello.process(),
                     .process_count = hello.process_count(),
                     .workers_per_process = hello.workers_per_process(),
                     .cluster = hello.cluster()->str(),
                     .secret = hello.secret()};
  std::memcpy(fields.nonce.data(), hello.nonce()->data(), kNonceBytes);
  return fields;
}

absl::Status ReadAbort(const wire::Frame& frame) {
  const wire::Abort& abort = *frame.body_as_Abort();
  auto code = static_cast<absl::StatusCode>(abort.code());
  if (abort.code() <= 0 || abort.code() > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    code = absl::StatusCode::kUnknown;
  }
  const std::string_view message(abort.message()->c_str(), abort.message()->size());
  return absl::Status(code, Printable(message, kMaxMessageBytes));
}

}  // namespace headway::internal
