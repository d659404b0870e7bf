#ifndef HEADWAY_PROGRESS_ROUND_SUM_H_
#define HEADWAY_PROGRESS_ROUND_SUM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "progress/round.h"

namespace headway {

// The net of whole progress rounds of one dataflow, as one round in the encoding of round.h. It
// lets a process announce the rounds of all its workers to another process once; changes that
// cancel are not announced.
//
// A sum is safe to apply as one round if it holds, for each worker, all rounds up to some point. To
// the receiver the workers seem to have published at the same moment.
//
// Not thread safe.
class RoundSum {
 public:
  // `change_bytes` has, for each location, the size of an encoded change (Tracker::ChangeSizes).
  explicit RoundSum(std::vector<uint32_t> change_bytes) : change_bytes_(std::move(change_bytes)) {}

  // Returns true iff `round` is a well-formed round of this dataflow. Add requires it.
  bool Accepts(std::span<const std::byte> round) const;

  // Adds one round.
  void Add(std::span<const std::byte> round) { AddRounds(round, 1); }
  // Adds several concatenated rounds.
  void AddMany(std::span<const std::byte> rounds) { AddRounds(rounds, 2); }

  // Returns true iff no change was added since the last Clear.
  bool empty() const { return bytes_.empty(); }
  // Bytes of memory in use. Net makes it minimal.
  size_t size() const { return bytes_.size(); }

  // The net of all that was added, encoded as a round; empty if everything cancels. Valid until the
  // next call.
  std::span<const std::byte> Net();

  void Clear() {
    bytes_.clear();
    rounds_ = 0;
  }

 private:
  void AddRounds(std::span<const std::byte> bytes, int rounds);
  std::span<const std::byte> TimeOf(internal::EncodedChange change) const {
    return change.time_bytes(change_bytes_[change.location()]);
  }

  const std::vector<uint32_t> change_bytes_;
  std::vector<std::byte> bytes_;                  // concatenated rounds
  int rounds_ = 0;                                // their number; exact up to 1
  std::vector<internal::EncodedChange> changes_;  // scratch space of Net
  std::vector<std::byte> net_;                    // scratch space of Net
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_ROUND_SUM_H_
