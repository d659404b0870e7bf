#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/step_context.h"
#include "engine/store/postgres.h"

namespace headway::internal {

// The mark of a lane of a transactional sink: a row of the table headway_marks, with the generation
// that may set it. Used by one thread at a time.
class PostgresMarks {
 public:
  PostgresMarks(const SinkContext& context, std::string lane)
      : store_(context.store_id),
        step_(context.step_id),
        lane_(std::move(lane)),
        generation_(context.generation) {}

  // Makes this generation the one that may set the mark, and ends the session that had it before.
  // Aborted: a later generation has it.
  absl::Status Claim(PostgresConnection& connection);
  // The mark as of the last Claim.
  std::optional<uint64_t> last_mark() const { return last_mark_; }

  // Sets the mark in a transaction, and holds its row until the end of that. Returns false if an
  // earlier attempt has committed it. Aborted: a later generation has the lane.
  absl::StatusOr<bool> Set(PostgresConnection& connection, uint64_t mark);

 private:
  absl::Status TryClaim(PostgresConnection& connection);
  absl::Status Fenced() const;

  const std::string store_;
  const std::string step_;
  const std::string lane_;
  const uint64_t generation_;
  std::optional<uint64_t> last_mark_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_
