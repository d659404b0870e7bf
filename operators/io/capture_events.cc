#include "operators/io/capture_events.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/runtime/config.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/row.h"

namespace headway::internal {
namespace {

constexpr std::array<char, 4> kMagic = {'H', 'C', 'A', 'P'};
constexpr uint32_t kVersion = 1;
constexpr size_t kFileHeadBytes = sizeof(kMagic) + sizeof(kVersion);

uint32_t ReadUint32(std::string_view bytes) {
  uint32_t value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

void AppendUint32(uint32_t value, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string_view View(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct ParsedPart {
  CaptureName parsed;
  std::string name;
};

absl::StatusOr<std::vector<ParsedPart>> ParsedParts(CaptureStore& store) {
  absl::StatusOr<std::vector<std::string>> names = store.List();
  HEADWAY_RETURN_IF_ERROR(names.status());
  std::ranges::sort(*names);
  std::vector<ParsedPart> parts;
  for (std::string& name : *names) {
    const std::optional<CaptureName> parsed = CaptureName::Parse(name);
    if (!parsed.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat(store.Describe(), " has a part '", name,
                       "', which is no name of a captured worker; remove it"));
    }
    parts.push_back({*parsed, std::move(name)});
  }
  return parts;
}

absl::Status CheckNoOtherRun(CaptureStore& store, const CaptureName& name) {
  absl::StatusOr<std::vector<ParsedPart>> parts = ParsedParts(store);
  if (absl::IsNotFound(parts.status())) return absl::OkStatus();  // Create makes the directory
  HEADWAY_RETURN_IF_ERROR(parts.status());
  for (const ParsedPart& other : *parts) {
    if (other.parsed.generation < name.generation ||
        (other.parsed.generation == name.generation &&
         other.parsed.worker_count == name.worker_count)) {
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat(store.Describe(), " has the part '", other.name,
                     "' of another run; remove it, or capture to another place"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string CaptureName::ToString() const {
  return absl::StrCat("generation-", generation, ".epoch-", first_epoch, ".worker-", worker_index,
                      "-of-", worker_count);
}

std::optional<CaptureName> CaptureName::Parse(const std::string& text) {
  CaptureName name;
  std::sscanf(text.c_str(), "generation-%" SCNu64 ".epoch-%" SCNu64 ".worker-%d-of-%d",
              &name.generation, &name.first_epoch, &name.worker_index, &name.worker_count);
  return name.ToString() == text ? std::optional(name) : std::nullopt;
}

absl::StatusOr<std::vector<CapturedPart>> CapturedParts(CaptureStore& store) {
  absl::StatusOr<std::vector<ParsedPart>> parts = ParsedParts(store);
  HEADWAY_RETURN_IF_ERROR(parts.status());
  if (parts->empty()) {
    return absl::NotFoundError(absl::StrCat(store.Describe(), " has no captured stream"));
  }
  std::map<uint64_t, std::vector<const ParsedPart*>> runs;  // by generation
  for (const ParsedPart& part : *parts) runs[part.parsed.generation].push_back(&part);
  std::vector<CapturedPart> captured;
  Epoch end = std::numeric_limits<Epoch>::max();
  // A later run has captured the epochs from its first one on again.
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    const CaptureName& first = run->second.front()->parsed;
    for (const ParsedPart* part : run->second) {
      if (part->parsed.worker_count != first.worker_count ||
          part->parsed.first_epoch != first.first_epoch) {
        return absl::FailedPreconditionError(absl::StrCat(
            store.Describe(), " has parts of different runs, '", run->second.front()->name,
            "' and '", part->name, "'; remove those of one of the runs"));
      }
    }
    if (first.first_epoch >= end) continue;
    if (run->second.size() != static_cast<size_t>(first.worker_count)) {
      return absl::DataLossError(absl::StrCat(
          store.Describe(), " has ", run->second.size(), " parts of generation ", run->first,
          ", whose run had ", first.worker_count, " workers; bring back the missing parts"));
    }
    for (const ParsedPart* part : run->second) {
      captured.push_back({part->name, end, run == runs.rbegin()});
    }
    end = first.first_epoch;
  }
  std::ranges::sort(captured, {}, &CapturedPart::name);
  return captured;
}

absl::StatusOr<std::unique_ptr<CaptureWriter>> CaptureWriter::Create(CaptureStore& store,
                                                                     const CaptureName& name,
                                                                     std::string_view record_type) {
  // Before: a part of a refused capture would spoil the other one. After: both may begin at once.
  HEADWAY_RETURN_IF_ERROR(CheckNoOtherRun(store, name));
  auto part = store.Create(name.ToString());
  HEADWAY_RETURN_IF_ERROR(part.status());
  HEADWAY_RETURN_IF_ERROR(CheckNoOtherRun(store, name));
  std::unique_ptr<CaptureWriter> writer(new CaptureWriter(*std::move(part)));
  writer->bytes_.append(kMagic.data(), kMagic.size());
  AppendUint32(kVersion, writer->bytes_);
  Encoder head;
  head.AppendByte(static_cast<uint8_t>(CaptureReader::Kind::kHead));
  head.AppendLength(record_type.size());
  head.Append(record_type.data(), record_type.size());
  writer->AddEvent(head);
  HEADWAY_RETURN_IF_ERROR(writer->Flush());
  return writer;
}

CaptureWriter::~CaptureWriter() {
  if (failed_) return;
  event_.Clear();
  event_.AppendByte(static_cast<uint8_t>(CaptureReader::Kind::kEnd));
  AddEvent(event_);
  Flush().IgnoreError();  // the part is one without an end then
}

absl::Status CaptureWriter::AddBatch(Epoch epoch, size_t record_count,
                                     std::span<const std::byte> records) {
  constexpr size_t kEventHeadBytes = 32;
  if (records.size() > kRowBytesMax - kEventHeadBytes) {
    return absl::ResourceExhaustedError(absl::StrCat("a batch of ", records.size(),
                                                     " bytes is too large for ", part_->Describe(),
                                                     "; capture smaller records"));
  }
  event_.Clear();
  event_.AppendByte(static_cast<uint8_t>(CaptureReader::Kind::kBatch));
  event_.AppendLength(epoch);
  event_.AppendLength(record_count);
  event_.Append(records.data(), records.size());
  AddEvent(event_);
  return absl::OkStatus();
}

void CaptureWriter::AddFrontier(Epoch epoch) {
  event_.Clear();
  event_.AppendByte(static_cast<uint8_t>(CaptureReader::Kind::kFrontier));
  event_.AppendLength(epoch);
  AddEvent(event_);
}

void CaptureWriter::AddEvent(const Encoder& event) {
  blocks_.Add({.hash = next_++, .state = View(event.bytes())});
  has_event_ = true;
}

absl::Status CaptureWriter::Flush() {
  if (!std::exchange(has_event_, false)) return absl::OkStatus();
  for (const StoredBlock& block : blocks_.Finish()) {
    AppendUint32(static_cast<uint32_t>(block.bytes.size()), bytes_);
    bytes_ += block.bytes;
  }
  absl::Status status = part_->Append(bytes_);
  bytes_.clear();
  failed_ = !status.ok();
  return status;
}

absl::StatusOr<std::unique_ptr<CaptureReader>> CaptureReader::Open(
    CaptureStore& store, const CapturedPart& part, std::string_view record_type, bool may_be_cut,
    const std::optional<std::string>& position) {
  auto bytes = store.Open(part.name);
  HEADWAY_RETURN_IF_ERROR(bytes.status());
  std::unique_ptr<CaptureReader> reader(
      new CaptureReader(*std::move(bytes), part.end, may_be_cut || !part.is_last));
  HEADWAY_RETURN_IF_ERROR(reader->ReadHead(record_type));
  if (position.has_value()) {
    HEADWAY_RETURN_IF_ERROR(reader->MoveTo(*position));
  }
  HEADWAY_RETURN_IF_ERROR(reader->Next());
  return reader;
}

absl::Status CaptureReader::ReadHead(std::string_view record_type) {
  if (part_->size() < kFileHeadBytes) {
    // A process that was killed at once has written nothing.
    if (may_be_cut_ && part_->size() == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(part_->Describe(), " is cut off in its head"));
  }
  absl::StatusOr<std::string> head = part_->Read(0, kFileHeadBytes);
  HEADWAY_RETURN_IF_ERROR(head.status());
  if (std::string_view(*head).substr(0, kMagic.size()) !=
      std::string_view(kMagic.data(), kMagic.size())) {
    return absl::DataLossError(absl::StrCat(part_->Describe(), " is no captured stream"));
  }
  const uint32_t version = ReadUint32(std::string_view(*head).substr(kMagic.size()));
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(part_->Describe(), " has version ", version, ", and this program reads ",
                     kVersion, "; replay it with the version of Headway that captured it"));
  }
  next_block_ = kFileHeadBytes;
  bool has_row = false;
  StateRow row;
  HEADWAY_RETURN_IF_ERROR(NextRow(&has_row, &row));
  if (!has_row) return absl::OkStatus();
  std::string_view state = *row.state;
  Decoder decoder(std::as_bytes(std::span(state.data(), state.size())));
  uint8_t kind = 0;
  size_t size = 0;
  if (!decoder.ReadByte(&kind) || kind != static_cast<uint8_t>(Kind::kHead) ||
      !decoder.ReadLength(&size) || size != decoder.remaining()) {
    return Malformed();
  }
  const std::string_view type = state.substr(state.size() - size);
  if (type != record_type) {
    return absl::FailedPreconditionError(absl::StrCat(
        part_->Describe(), " has records of type ", std::string(type), ", and is replayed with ",
        std::string(record_type), "; give Replay the type of the records"));
  }
  return absl::OkStatus();
}

absl::Status CaptureReader::MoveTo(const std::string& position) {
  uint64_t event = 0;
  if (std::sscanf(position.c_str(), "%" SCNu64 " %" SCNu64 " %" SCNu64 " %zu", &next_block_, &next_,
                  &event, &first_record_) != 4) {
    return absl::DataLossError(
        absl::StrCat("the stored position in ", part_->Describe(), " is malformed"));
  }
  if (next_block_ > part_->size()) {
    return absl::DataLossError(absl::StrCat(
        part_->Describe(), " is shorter than at the commit from which the run resumes"));
  }
  block_.reset();
  while (next_ < event) {
    bool has_row = false;
    StateRow row;
    HEADWAY_RETURN_IF_ERROR(NextRow(&has_row, &row));
    if (!has_row) return Malformed();
  }
  return absl::OkStatus();
}

absl::Status CaptureReader::Next() {
  do {
    bool has_row = false;
    StateRow row;
    HEADWAY_RETURN_IF_ERROR(NextRow(&has_row, &row));
    if (!has_row) {
      event_ = Event();
      number_ = next_;
      return absl::OkStatus();
    }
    if (!Decode(*row.state)) return Malformed();
    // Earlier versions wrote the frontier of a graceful stop.
  } while (event_.kind == Kind::kFrontier && event_.epoch >= kStopEpoch);
  if (event_.kind != Kind::kEnd && event_.epoch >= end_) event_ = Event();
  return absl::OkStatus();
}

absl::Status CaptureReader::NextRow(bool* has_row, StateRow* row) {
  *has_row = false;
  while (!block_.has_value() || !block_->Next(row)) {
    bool has_block = false;
    HEADWAY_RETURN_IF_ERROR(NextBlock(&has_block));
    if (!has_block) return absl::OkStatus();
  }
  if (row->hash != next_ || !row->state.has_value()) return Malformed();
  number_ = next_++;
  *has_row = true;
  return absl::OkStatus();
}

absl::Status CaptureReader::NextBlock(bool* has_block) {
  block_.reset();
  block_begin_ = next_block_;
  first_of_block_ = next_;
  const uint64_t rest = part_->size() - next_block_;
  if (rest < sizeof(uint32_t)) return CutOff(has_block);
  absl::StatusOr<std::string> size = part_->Read(next_block_, sizeof(uint32_t));
  HEADWAY_RETURN_IF_ERROR(size.status());
  const uint32_t block_size = ReadUint32(*size);
  if (block_size > rest - sizeof(uint32_t)) return CutOff(has_block);
  absl::StatusOr<std::string> bytes = part_->Read(next_block_ + sizeof(uint32_t), block_size);
  HEADWAY_RETURN_IF_ERROR(bytes.status());
  absl::StatusOr<BlockReader> block = BlockReader::Open(*bytes);
  if (!block.ok()) {
    return absl::Status(block.status().code(),
                        absl::StrCat(part_->Describe(), " is damaged at byte ", next_block_, ": ",
                                     block.status().message()));
  }
  block_ = *std::move(block);
  next_block_ += sizeof(uint32_t) + block_size;
  *has_block = true;
  return absl::OkStatus();
}

absl::Status CaptureReader::CutOff(bool* has_block) const {
  *has_block = false;
  if (may_be_cut_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      part_->Describe(), " is cut off at byte ", next_block_,
      ": its end is missing, because its process was killed or the file was truncated; "
      "ReplayOptions::incomplete replays the events that are there"));
}

bool CaptureReader::Decode(std::string_view state) {
  event_ = Event();
  Decoder decoder(std::as_bytes(std::span(state.data(), state.size())));
  uint8_t kind = 0;
  if (!decoder.ReadByte(&kind)) return false;
  event_.kind = static_cast<Kind>(kind);
  switch (event_.kind) {
    case Kind::kEnd:
      return decoder.remaining() == 0;
    case Kind::kFrontier:
      return decoder.ReadNumber(&event_.epoch) && decoder.remaining() == 0;
    case Kind::kBatch:
      if (!decoder.ReadNumber(&event_.epoch) || !decoder.ReadLength(&event_.record_count)) {
        return false;
      }
      event_.records = std::as_bytes(std::span(state.data(), state.size()));
      event_.records = event_.records.last(decoder.remaining());
      return true;
    default:
      return false;
  }
}

std::string CaptureReader::PositionAt(size_t record) const {
  return absl::StrCat(block_begin_, " ", first_of_block_, " ", number_, " ", record);
}

absl::Status CaptureReader::Malformed() const {
  return absl::DataLossError(absl::StrCat(part_->Describe(), " is damaged at byte ", block_begin_,
                                          ": event ", number_, " is malformed"));
}

}  // namespace headway::internal
