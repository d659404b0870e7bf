#ifndef HEADWAY_PROGRESS_COMPACT_ROUNDS_H_
#define HEADWAY_PROGRESS_COMPACT_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headway {

// Rounds of progress as they travel between processes: a round for each of any number of dataflows,
// in about a quarter of the bytes of Tracker::Publish, because numbers are small and times resemble
// each other. It says how long its times are, so that who has not built the dataflow yet can read
// it.
//
// A varint is an unsigned number in groups of 7 bits, the least first, with the high bit of a byte
// set if another one follows. A signed number s is the varint of (s << 1) ^ (s >> 63): 0, -1, 1,
// -2, ... A round is
//
//   the dataflow                                    varint
//   the number of changes, at least 1               varint
//   for each change, with that of a change of zeros before the first
//     ((its location minus the last one's) as a signed number) << 2 | (words of its time - 1)
//                                                   varint
//     the delta                                     signed number
//     for each 8 bytes of its time: minus those of the last one that had as many
//                                                   signed number, modulo 2^64
//
// Not thread safe.
class CompactRounds {
 public:
  // Adds a round as Tracker::Publish makes it. `change_bytes` has, for each location, the size of a
  // change there (Tracker::ChangeSizes).
  void Add(uint32_t dataflow, std::span<const std::byte> round,
           std::span<const uint32_t> change_bytes);

  std::span<const std::byte> bytes() const { return bytes_; }
  void Clear() { bytes_.clear(); }

 private:
  void AddVarint(uint64_t value);
  void AddSigned(int64_t value);

  std::vector<std::byte> bytes_;
};

// Reads them, from anywhere.
class CompactRoundsReader {
 public:
  explicit CompactRoundsReader(std::span<const std::byte> bytes) : left_(bytes) {}

  // Makes a round as Tracker::Publish does of the next one. Returns false at the end, and when what
  // follows is none, or would take more than `max_bytes`.
  bool Next(size_t max_bytes, uint32_t* dataflow, std::vector<std::byte>* round);

  // After Next has returned false: whether that was not the end.
  bool malformed() const { return malformed_; }

 private:
  bool ReadRound(size_t max_bytes, uint32_t* dataflow, std::vector<std::byte>* round);
  bool ReadVarint(uint64_t* value);
  bool ReadSigned(int64_t* value);

  std::span<const std::byte> left_;
  bool malformed_ = false;
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_COMPACT_ROUNDS_H_
