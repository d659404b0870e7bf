#ifndef HEADWAY_PROGRESS_COMPACT_ROUNDS_H_
#define HEADWAY_PROGRESS_COMPACT_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace headway {

// The encoding of progress rounds between processes: one round for each of any number of dataflows.
// It takes about a quarter of the bytes of round.h, because numbers are small and times resemble
// each other. It states the length of each time, so a process can decode the rounds of a dataflow
// that it has not built yet.
//
// A varint is an unsigned number in groups of 7 bits, least significant group first. The high bit
// of a byte is set if another byte follows. A signed number s is the varint of (s << 1) ^ (s >>
// 63): 0, -1, 1, -2, ... A round is
//
//   the dataflow                                    varint
//   the number of changes, at least 1               varint
//   for each change, as differences to the change before it (zeros before the first)
//     (the difference of locations as a signed number) << 2 | (words of the time - 1)
//                                                   varint
//     the delta, not a difference                   signed number
//     for each 8 bytes of the time: the difference to the last time that had as many
//                                                   signed number, modulo 2^64
//
// Not thread safe.
class CompactRounds {
 public:
  // Adds a well-formed round in the encoding of round.h. `change_bytes` has, for each location, the
  // size of a change there (Tracker::ChangeSizes).
  void Add(uint32_t dataflow, std::span<const std::byte> round,
           std::span<const uint32_t> change_bytes);

  std::span<const std::byte> bytes() const { return bytes_; }
  void Clear() { bytes_.clear(); }

 private:
  void AddVarint(uint64_t value);
  void AddSigned(int64_t value);

  std::vector<std::byte> bytes_;
};

// Decodes compact rounds from an untrusted peer.
class CompactRoundsReader {
 public:
  explicit CompactRoundsReader(std::span<const std::byte> bytes) : left_(bytes) {}

  // Decodes the next round into the encoding of round.h. Returns false at the end, and if the next
  // round is malformed or would take more than `max_bytes`.
  bool Next(size_t max_bytes, uint32_t* dataflow, std::vector<std::byte>* round);

  // After Next has returned false: true iff it failed before the end.
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
