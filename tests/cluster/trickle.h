#ifndef HEADWAY_TESTS_CLUSTER_TRICKLE_H_
#define HEADWAY_TESTS_CLUSTER_TRICKLE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "headway.h"
#include "tests/sanitizers.h"

namespace headway {

// A source of a few records each millisecond or, under a sanitizer, some, for ever or up to
// `count`: a run that is at work, and leaves the machine to others.
struct Trickle {
  using Record = int64_t;
  int64_t count = INT64_MAX;
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      for (int i = 0; i < 16 && next < count; ++i) out.Emit(next++);
      if (next == count) return SourceState::Done();
      return SourceState::Idle(absl::Milliseconds(Repeated(1, 4)));
    }
    std::string Snapshot() const { return ""; }
    int64_t count;
    int64_t next = 0;
  };
  absl::StatusOr<Reader> Open(const SourceContext&, std::optional<std::string>) {
    return Reader{.count = count};
  }
};

}  // namespace headway

#endif  // HEADWAY_TESTS_CLUSTER_TRICKLE_H_
