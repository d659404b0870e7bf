#ifndef HEADWAY_PROGRESS_ROUND_SUM_H_
#define HEADWAY_PROGRESS_ROUND_SUM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace headway {

// The net of whole rounds of progress (Tracker::Publish) of one dataflow, as one round: what the
// workers of a process did is told to another process once, and what cancels is not told at all.
//
// A sum of rounds is safe to apply as one round as long as it holds, of each worker, all rounds up
// to some point: to those who get it it looks as if the workers had published at the same moment.
//
// Not thread safe.
class RoundSum {
 public:
  // `change_bytes` has, for each location, the size of an encoded change (Tracker::ChangeSizes).
  explicit RoundSum(std::vector<uint32_t> change_bytes) : change_bytes_(std::move(change_bytes)) {}

  // Whether `round` is the encoding of changes of this dataflow; Add requires it.
  bool Accepts(std::span<const std::byte> round) const;

  // Adds one round, or several that were encoded one after another.
  void Add(std::span<const std::byte> round) { AddRounds(round, 1); }
  void AddMany(std::span<const std::byte> rounds) { AddRounds(rounds, 2); }

  // Whether nothing was added since the last Clear.
  bool empty() const { return bytes_.empty(); }
  // Bytes of memory that the sum takes; Net makes it as small as it can be.
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
  std::span<const std::byte> ChangeAt(size_t offset) const;

  const std::vector<uint32_t> change_bytes_;
  std::vector<std::byte> bytes_;  // changes, one after another
  int rounds_ = 0;                // of how many rounds they are; only up to one it matters
  std::vector<size_t> offsets_;   // scratch of Net
  std::vector<std::byte> net_;    // scratch of Net
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_ROUND_SUM_H_
