#ifndef HEADWAY_PROGRESS_PROCESS_SUM_H_
#define HEADWAY_PROGRESS_PROCESS_SUM_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "progress/point_counts.h"
#include "progress/round.h"
#include "progress/round_sum.h"

namespace headway {

// The properties of a dataflow that ProcessSum needs.
struct ProgressLayout {
  std::vector<uint32_t> change_bytes;   // by location: the size of a change (Tracker::ChangeSizes)
  std::vector<bool> only_capabilities;  // by location: true if only the worker that adds a count
                                        // removes it, and equal times have equal bytes
  std::vector<std::byte> initial;       // the counts before the first round, as a round
};

// The rounds of a process's workers in one dataflow that other processes have not received yet.
//
// The sum becomes due as soon as it could change a frontier of another process, and no later. Very
// large sums are due earlier. Until then rounds add up: an epoch that all workers enter costs one
// message, and no delay. Example: a capability of worker 0 moves from t to u. No frontier moves
// while another worker of the process has a capability at t, so the sum may wait.
//
// Rule. A sum may wait iff the process covers each of its negative changes. A change is covered if
// it is at a location of capabilities, and the process still has a capability there at the same
// time.
//
// Why waiting is safe. The sum holds whole rounds of each worker, up to the latest. The protocol
// allows a worker to delay those for any time (T4).
//
// Why waiting changes no frontier. Let M be the sum that waits and C the capabilities of the
// process. Let G be the counts of another process that has received everything but M.
// - M[y] < 0. By the rule C[y] > 0, so G[y] > 0 too: y is outstanding with and without M.
// - M[x] > 0, and a count at x exists. No frontier of G is past x, since M may arrive later (S1).
//   So some time that is outstanding in G is less than x. By the rule it is outstanding with M too,
//   so no frontier depends on M[x].
// - M[x] > 0, and no count at x exists any more. Applying M could only hold a frontier back.
// Changes of other processes do not affect this argument. A change of a worker of this process is a
// round, after which is_due() is evaluated again.
//
// Why the rule needs a location of capabilities. G[y] > 0 must follow from C[y] > 0. At another
// location G may count the receipt of a fellow worker's message before it counts the message.
//
// Not thread safe.
//
// Source: the accumulators of Murray et al., "Naiad: A Timely Dataflow System", SOSP 2013, 3.3.
class ProcessSum {
 public:
  // For the process's `workers` of all `worker_count`. A sum of one worker is always due.
  ProcessSum(ProgressLayout layout, int workers, int worker_count);

  // Returns true iff `round` is a well-formed round of this dataflow. Add requires it.
  bool Accepts(std::span<const std::byte> round) const { return sum_.Accepts(round); }

  // Adds a round of one of the workers. The rounds of each worker come in order.
  void Add(std::span<const std::byte> round);

  // Returns true iff no change was added since the last Clear.
  bool empty() const { return sum_.empty(); }
  // Bytes of memory in use by the sum. Net makes it minimal.
  size_t size() const { return sum_.size(); }
  // Returns true iff other processes must receive the sum now.
  bool is_due();

  // The net of all that was added, as a round; empty if everything cancels. Valid until the next
  // call.
  std::span<const std::byte> Net() { return sum_.Net(); }
  void Clear();

  std::span<const uint32_t> change_bytes() const { return layout_.change_bytes; }

 private:
  using Point = internal::PointCounts::Point;

  bool TakesTheLast(std::span<const std::byte> net) const;
  Point PointOf(internal::EncodedChange change) const;

  const ProgressLayout layout_;
  const bool may_wait_;
  RoundSum sum_;
  internal::PointCounts capabilities_;  // of this process
  bool is_due_ = false;
  bool is_due_known_ = false;  // is_due_ is up to date
};

}  // namespace headway

#endif  // HEADWAY_PROGRESS_PROCESS_SUM_H_
