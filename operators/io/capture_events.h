#ifndef HEADWAY_OPERATORS_IO_CAPTURE_EVENTS_H_
#define HEADWAY_OPERATORS_IO_CAPTURE_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/codec/buffer.h"
#include "engine/store/block.h"
#include "operators/io/capture_store.h"
#include "progress/timestamp.h"

// The events of a captured stream, as bytes of a part. A part begins with the characters HCAP and a
// version of 4 bytes. Blocks of the recovery store follow (engine/store/block.h), each behind its
// size in 4 bytes. A row is an event: its hash is the number of the event, from 0, its state the
// kind of the event in a byte, and the event. The epochs of events ascend.
//
//    0  head: the name of the record type, as a length and characters. The first event
//    1  batch: the epoch and the number of records, as lengths; the records, as their Codec writes
//    2  frontier: the epoch as a length. Earlier epochs are complete
//    3  end: the run has ended, and the part has all of its events

namespace headway::internal {

// The name of a part: the worker that wrote it, and its run.
struct CaptureName {
  uint64_t generation = 0;  // of the run; 0: it has no recovery store
  Epoch first_epoch = 0;    // of the run
  int worker_index = 0;
  int worker_count = 1;

  std::string ToString() const;
  // Nullopt: it is no such name.
  static std::optional<CaptureName> Parse(const std::string& text);
};

// A part, and the epoch at which a later run has captured the stream again.
struct CapturedPart {
  std::string name;
  Epoch end = std::numeric_limits<Epoch>::max();
  bool is_last = true;  // no later run was captured
};

// The parts whose events count, ordered by name. Errors: NotFound if the store is empty, DataLoss
// if the part of a worker is missing, FailedPrecondition if parts are of unrelated runs.
absl::StatusOr<std::vector<CapturedPart>> CapturedParts(CaptureStore& store);

// Writes the events of a worker. Not thread safe.
class CaptureWriter {
 public:
  // FailedPrecondition: the store has the capture of another run.
  static absl::StatusOr<std::unique_ptr<CaptureWriter>> Create(CaptureStore& store,
                                                               const CaptureName& name,
                                                               std::string_view record_type);
  // Writes the end, unless a write has failed.
  ~CaptureWriter();
  CaptureWriter(const CaptureWriter&) = delete;
  CaptureWriter& operator=(const CaptureWriter&) = delete;

  // ResourceExhausted: the batch has about 512 MiB or more. REQUIRES: the epoch is not before those
  // of earlier events.
  absl::Status AddBatch(Epoch epoch, size_t record_count, std::span<const std::byte> records);
  void AddFrontier(Epoch epoch);
  // Writes the events that were added.
  absl::Status Flush();

 private:
  explicit CaptureWriter(std::unique_ptr<CapturePart> part) : part_(std::move(part)) {}
  void AddEvent(const Encoder& event);

  const std::unique_ptr<CapturePart> part_;
  BlockWriter blocks_;
  Encoder event_;  // scratch
  std::string bytes_;
  uint64_t next_ = 0;       // the number of the next event
  bool has_event_ = false;  // that was not written yet
  bool failed_ = false;
};

// Reads the events of a part. Not thread safe.
class CaptureReader {
 public:
  enum class Kind : uint8_t { kHead = 0, kBatch = 1, kFrontier = 2, kEnd = 3 };
  struct Event {
    Kind kind = Kind::kEnd;
    Epoch epoch = 0;
    size_t record_count = 0;
    std::span<const std::byte> records;  // valid until Next
  };

  // `position` is one that the reader returned. `may_be_cut`: a part without its end is no error.
  // DataLoss: the part is damaged. FailedPrecondition: it has records of another type, or a newer
  // version.
  static absl::StatusOr<std::unique_ptr<CaptureReader>> Open(
      CaptureStore& store, const CapturedPart& part, std::string_view record_type, bool may_be_cut,
      const std::optional<std::string>& position);

  // The present event; the last one is the end.
  const Event& event() const { return event_; }
  // Moves to the next one. REQUIRES: the present one is not the end.
  absl::Status Next();
  // The position of record `record` of the present event.
  std::string PositionAt(size_t record) const;
  // The record with which the position of Open began.
  size_t first_record() const { return first_record_; }
  // The error of a batch whose records are malformed.
  absl::Status Malformed() const;

 private:
  CaptureReader(std::unique_ptr<CapturePart> part, Epoch end, bool may_be_cut)
      : part_(std::move(part)), end_(end), may_be_cut_(may_be_cut) {}

  absl::Status ReadHead(std::string_view record_type);
  absl::Status MoveTo(const std::string& position);
  // Sets `row` to the next row; leaves `has_row` false at the end of the part.
  absl::Status NextRow(bool* has_row, StateRow* row);
  absl::Status NextBlock(bool* has_block);
  absl::Status CutOff(bool* has_block) const;
  bool Decode(std::string_view state);

  const std::unique_ptr<CapturePart> part_;
  const Epoch end_;
  const bool may_be_cut_;
  uint64_t block_begin_ = 0;     // of the present block
  uint64_t first_of_block_ = 0;  // the number of its first event
  uint64_t next_block_ = 0;
  std::optional<BlockReader> block_;
  uint64_t number_ = 0;  // of the present event
  uint64_t next_ = 0;    // of the next one
  Event event_;
  size_t first_record_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_CAPTURE_EVENTS_H_
