#ifndef HEADWAY_OPERATORS_IO_STRIPE_LINES_H_
#define HEADWAY_OPERATORS_IO_STRIPE_LINES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/step/source.h"
#include "operators/io/file_stripes.h"
#include "operators/io/line_reader.h"

namespace headway::internal {

// The reader of a source whose partitions are stripes, and whose records are their lines.
class StripeLines {
 public:
  explicit StripeLines(StripeReader stripe) : stripe_(std::move(stripe)) {}

  absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
    if (stripe_.is_skipped()) return SourceState::Done();
    LineReader& lines = stripe_.lines();
    std::string_view line;
    while (out.WantsMore()) {
      absl::StatusOr<LineReader::Found> found = lines.Next(&line);
      if (!found.ok()) return found.status();
      if (*found != LineReader::Found::kLine) return StateOf(*found);
      out.Emit(line);
    }
    return SourceState::More();
  }
  std::string Snapshot() const { return stripe_.Snapshot(); }

 private:
  StripeReader stripe_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_STRIPE_LINES_H_
