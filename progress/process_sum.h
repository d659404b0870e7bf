#ifndef HEADWAY_PROGRESS_PROCESS_SUM_H_
#define HEADWAY_PROGRESS_PROCESS_SUM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "progress/round_sum.h"

namespace headway {

// What there is to know of a dataflow to add up its rounds.
struct ProgressLayout {
  std::vector<uint32_t> change_bytes;   // by location: the size of a change (Tracker::ChangeSizes)
  std::vector<bool> only_capabilities;  // by location: only who made a count takes it back, and
                                        // equal times have equal bytes
  std::vector<std::byte> initial;       // the counts before the first round, as a round
};

// What the workers of a process have done in one dataflow, and the other processes have not been
// told.
//
// It is told once it could change what they see, and no later (earlier only if it gets very large).
// Until then it adds up, so that an
// epoch which all workers enter costs one message, whenever each of them does, and no time: what is
// kept back is known to be without effect. As an example, a capability of worker 0 that moves from
// t to u moves no frontier while another worker of the process has one at t.
//
// Why that is safe. Whatever is kept back are whole rounds of each worker up to now, which the
// protocol allows for any time (T4). Why it is without effect: let M be the net of what is kept
// back, C the capabilities of the process, and G the counts of another process if it had been told
// of everything but M. The rule is that each time that M takes away, M[y] < 0, is at a location of
// capabilities, where the process still has another at the same time, C[y] > 0. Then G[y] > 0 too,
// so y stays outstanding with and without M. As for what M adds, M[x] > 0: while something is at x,
// no frontier of G is past x, since M may as well arrive later (S1). So x is later than something
// that is outstanding in G, which by the rule is outstanding with M as well, and no frontier
// depends on M. Once nothing is at x any more, M could only hold a frontier back. What other
// processes do meanwhile changes nothing of that, and what a worker of this one does is a round,
// after which is_due() is asked again. That G has C[y] for itself needs a location at which only
// capabilities count: at another one a fellow's message may have been counted as received before it
// is counted as sent.
//
// Not thread safe.
//
// Source: the accumulators of Murray et al., "Naiad: A Timely Dataflow System", SOSP 2013, 3.3.
class ProcessSum {
 public:
  // For the process's `workers` of all `worker_count`. A sum of one worker is always due.
  ProcessSum(ProgressLayout layout, int workers, int worker_count);

  // Whether `round` is the encoding of changes of this dataflow; Add requires it.
  bool Accepts(std::span<const std::byte> round) const { return sum_.Accepts(round); }

  // Adds a round of one of the workers, which come in order.
  void Add(std::span<const std::byte> round);

  // Whether nothing was added since the last Clear.
  bool empty() const { return sum_.empty(); }
  // Bytes of memory that the sum takes; Net makes it as small as it can be.
  size_t size() const { return sum_.size(); }
  // Whether others are to be told.
  bool is_due();

  // The net of all that was added, as a round; empty if everything cancels. Valid until the next
  // call.
  std::span<const std::byte> Net() { return sum_.Net(); }
  void Clear();

  std::span<const uint32_t> change_bytes() const { return layout_.change_bytes; }

 private:
  // A location and a time.
  using Point = std::array<uint64_t, 5>;

  bool TakesTheLast(std::span<const std::byte> net) const;
  Point PointOf(const std::byte* change) const;

  const ProgressLayout layout_;
  const bool may_wait_;
  RoundSum sum_;
  absl::flat_hash_map<Point, int64_t> capabilities_;  // of this process
  bool is_due_ = false;
  bool has_looked_ = false;  // is_due_ is up to date
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_PROCESS_SUM_H_
