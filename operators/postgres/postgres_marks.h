#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/step_context.h"
#include "engine/store/postgres.h"

namespace headway::internal {

// The mark of a lane of a transactional sink: a row of the table headway_marks, with the generation
// and the writer that may set it. Used by one thread at a time.
class PostgresMarks {
 public:
  PostgresMarks(const SinkContext& context, std::string lane);

  // Makes this the one that may set the mark, and ends the session that had it before. Called with
  // each new connection. Aborted: a later generation has it, or another run has taken it from this.
  // FailedPrecondition: the database has lost a mark that was acknowledged.
  absl::Status Claim(PostgresConnection& connection);
  // The last mark that is known to be committed.
  std::optional<uint64_t> last_mark() const { return last_mark_; }

  // Sets the mark in a transaction, and holds its row until the end of that. Returns false if an
  // earlier attempt has committed it. Aborted: as above.
  absl::StatusOr<bool> Set(PostgresConnection& connection, uint64_t mark);
  // The server has acknowledged the transaction with the mark.
  void SetCommitted(uint64_t mark) { last_mark_ = mark; }

 private:
  absl::Status TryClaim(PostgresConnection& connection);
  absl::Status Fenced() const;

  const std::string store_;
  const std::string step_;
  const std::string lane_;
  const uint64_t generation_;
  // Two runs with copies of a recovery store have the same generations.
  const std::string token_;
  bool is_claimed_ = false;
  std::optional<uint64_t> last_mark_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_MARKS_H_
