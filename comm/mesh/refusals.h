#ifndef HEADWAY_COMM_MESH_REFUSALS_H_
#define HEADWAY_COMM_MESH_REFUSALS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "comm/mesh/news_limit.h"

namespace headway::internal {

// The connections that ended before they proved to belong to the cluster. Anybody can open one and
// claim any id in it, so they have no effect on the cluster: a limited number of log messages, and
// the reason in the error of a process that never comes.
//
// Thread safety: none.
class Refusals {
 public:
  explicit Refusals(int process_count) : entries_(static_cast<size_t>(process_count) + 1) {}

  // Notes a connection that claimed to be `process`, if it claimed anything. `why` has no text of
  // the peer. Returns true if the refusal should be logged.
  bool Note(std::optional<int> process, const absl::Status& why, int64_t now_ms) {
    Entry& entry = entries_[process.has_value() ? static_cast<size_t>(*process) + 1 : 0];
    entry.last = why;
    const absl::string_view message = why.message();
    return entry.limit.Passes({message.data(), message.size()}, now_ms);
  }

  // The reason of the last refusal of a connection that claimed to be `process`; OK if there was
  // none.
  const absl::Status& last(int process) const {
    return entries_[static_cast<size_t>(process) + 1].last;
  }

 private:
  struct Entry {
    absl::Status last;
    NewsLimit limit;
  };
  std::vector<Entry> entries_;  // the first: of connections without a claim
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_REFUSALS_H_
