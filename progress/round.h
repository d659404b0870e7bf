#ifndef HEADWAY_PROGRESS_ROUND_H_
#define HEADWAY_PROGRESS_ROUND_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "check.h"
#include "progress/location_id.h"

// The encoding of a progress round within a process. CompactRounds is the encoding between
// processes.
//
// A round is a sequence of changes, without a header. All numbers are little-endian, and changes
// are not aligned. A change is
//
//   offset 0   location   uint32
//   offset 4   delta      int32    added to the count of (location, time)
//   offset 8   time                the bytes of the timestamp, padded with zeros to a multiple of 8
//
// A location has one timestamp type, so all changes at a location have equal sizes. A change does
// not store its size: readers look it up by location in a table (Tracker::ChangeSizes). A change of
// an Epoch takes 16 bytes.
//
// Concatenated rounds are the encoding of one round, which has the effect of all of them.

namespace headway::internal {

inline constexpr size_t kDeltaOffset = 4;
inline constexpr size_t kTimeOffset = 8;
inline constexpr size_t kWordBytes = 8;  // times are padded to a multiple of this

// The size of a change whose time is a T.
template <class T>
inline constexpr size_t kChangeBytes =
    kTimeOffset + (sizeof(T) + kWordBytes - 1) / kWordBytes * kWordBytes;

// One change of a round. A pointer into the round, which must outlive it.
class EncodedChange {
 public:
  explicit EncodedChange(const std::byte* at) : at_(at) {}

  LocationId location() const { return Load<LocationId>(0); }
  int32_t delta() const { return Load<int32_t>(kDeltaOffset); }

  // REQUIRES: the location's timestamp type is T.
  template <class T>
  T time() const {
    return Load<T>(kTimeOffset);
  }

  // The time with its padding. `change_bytes` is the size of a change at this location.
  std::span<const std::byte> time_bytes(size_t change_bytes) const {
    return {at_ + kTimeOffset, change_bytes - kTimeOffset};
  }

 private:
  template <class T>
  T Load(size_t offset) const {
    T value;
    std::memcpy(static_cast<void*>(&value), at_ + offset, sizeof(value));
    return value;
  }

  const std::byte* at_;
};

// The first fault of a malformed round.
struct RoundFault {
  enum class Kind { kNone, kTruncatedLocation, kUnknownLocation, kTruncatedChange };
  Kind kind = Kind::kNone;
  LocationId location = 0;  // of the faulty change, unless it is truncated
};

// Returns the first fault of `round`; kNone iff RoundReader can read it. `change_bytes` has, for
// each location, the size of a change.
inline RoundFault FindFault(std::span<const std::byte> round,
                            std::span<const uint32_t> change_bytes) {
  for (size_t at = 0; at < round.size();) {
    const size_t left = round.size() - at;
    if (left < sizeof(LocationId)) return {RoundFault::Kind::kTruncatedLocation};
    const LocationId location = EncodedChange(round.data() + at).location();
    if (location >= change_bytes.size()) return {RoundFault::Kind::kUnknownLocation, location};
    const size_t bytes = change_bytes[location];
    if (left < bytes) return {RoundFault::Kind::kTruncatedChange, location};
    at += bytes;
  }
  return {};
}

// Reads the changes of a round in order. A cursor over memory that must outlive it, as must the
// table of sizes.
//
//   for (RoundReader reader(round, change_bytes); !reader.done(); reader.Next()) {
//     Use(reader.change());
//   }
class RoundReader {
 public:
  // REQUIRES: FindFault(round, change_bytes) finds none.
  RoundReader(std::span<const std::byte> round, std::span<const uint32_t> change_bytes)
      : at_(round.data()), end_(round.data() + round.size()), change_bytes_(change_bytes.data()) {}

  bool done() const { return at_ == end_; }

  // REQUIRES: !done(), here and below.
  EncodedChange change() const { return EncodedChange(at_); }
  size_t change_bytes() const { return change_bytes_[change().location()]; }
  void Next() { at_ += change_bytes(); }

  // Moves to the position of `other`, a reader of the same round.
  void MoveTo(const RoundReader& other) { at_ = other.at_; }

  // Next without a look at the table, after a change whose time is a T.
  template <class T>
  void NextAfter() {
    HEADWAY_DCHECK(change_bytes() == kChangeBytes<T>);
    at_ += kChangeBytes<T>;
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
  const uint32_t* change_bytes_;
};

// Appends changes to a round.
class RoundWriter {
 public:
  explicit RoundWriter(std::vector<std::byte>* round) : round_(*round) {}

  // CHECKs that `delta` fits into 32 bits.
  template <class T>
  void Add(LocationId location, const T& time, int64_t delta) {
    Write(Extend(kChangeBytes<T>), location, time, delta);
  }

  // Adds changes at one location; a Change has a `time` and a `delta`.
  template <class Change>
  void AddAll(LocationId location, std::span<const Change> changes) {
    constexpr size_t kBytes = kChangeBytes<decltype(Change::time)>;
    std::byte* to = Extend(changes.size() * kBytes);
    for (const Change& change : changes) {
      Write(to, location, change.time, change.delta);
      to += kBytes;
    }
  }

  // Adds a change with an encoded time, which includes the padding. `time` must not be in the
  // round.
  void AddEncoded(LocationId location, std::span<const std::byte> time, int32_t delta) {
    std::byte* const to = Extend(kTimeOffset + time.size());
    WriteHead(to, location, delta);
    std::memcpy(to + kTimeOffset, time.data(), time.size());
  }

 private:
  std::byte* Extend(size_t bytes) {
    const size_t at = round_.size();
    round_.resize(at + bytes);
    return round_.data() + at;
  }

  static void WriteHead(std::byte* to, LocationId location, int32_t delta) {
    std::memcpy(to, &location, sizeof(location));
    std::memcpy(to + kDeltaOffset, &delta, sizeof(delta));
  }

  // The padding is zero since Extend.
  template <class T>
  static void Write(std::byte* to, LocationId location, const T& time, int64_t delta) {
    static_assert(std::is_trivially_copyable_v<T>);
    HEADWAY_CHECK(delta >= std::numeric_limits<int32_t>::min() &&
                  delta <= std::numeric_limits<int32_t>::max());
    WriteHead(to, location, static_cast<int32_t>(delta));
    std::memcpy(to + kTimeOffset, &time, sizeof(T));
  }

  std::vector<std::byte>& round_;
};

}  // namespace headway::internal

#endif  // HEADWAY_PROGRESS_ROUND_H_
