#include "operators/postgres/postgres_marks.h"

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/postgres.h"

namespace headway::internal {

absl::Status PostgresMarks::Claim(PostgresConnection& connection) {
  absl::Status status = TryClaim(connection);
  if (!absl::IsNotFound(status)) return status;
  // "headway" as a number: two that make the table at once would fail.
  HEADWAY_RETURN_IF_ERROR(connection.Execute(
      "BEGIN; SELECT pg_advisory_xact_lock(29382023577592185);"
      "CREATE TABLE IF NOT EXISTS headway_marks(store text NOT NULL, step text NOT NULL,"
      "  lane text NOT NULL, generation bigint NOT NULL, epoch bigint, session_pid integer NOT "
      "NULL,"
      "  session_start timestamptz NOT NULL, PRIMARY KEY(store, step, lane));"
      "COMMIT"));
  return TryClaim(connection);
}

absl::Status PostgresMarks::TryClaim(PostgresConnection& connection) {
  // A process that stands still in a transaction would hold the row.
  HEADWAY_RETURN_IF_ERROR(
      connection.Run("SELECT pg_terminate_backend(pid) FROM headway_marks JOIN pg_stat_activity "
                     "ON pid = session_pid AND backend_start = session_start "
                     "WHERE store = $1 AND step = $2 AND lane = $3 AND generation <= $4 AND "
                     "pid <> pg_backend_pid()",
                     {store_, step_, lane_, generation_}));
  const absl::StatusOr<PostgresResult> claimed = connection.Query(
      "INSERT INTO headway_marks AS marks SELECT $1, $2, $3, $4, NULL, pid, backend_start "
      "FROM pg_stat_activity WHERE pid = pg_backend_pid() "
      "ON CONFLICT (store, step, lane) DO UPDATE SET generation = EXCLUDED.generation, "
      "session_pid = EXCLUDED.session_pid, session_start = EXCLUDED.session_start "
      "WHERE marks.generation <= EXCLUDED.generation RETURNING epoch",
      {store_, step_, lane_, generation_});
  if (!claimed.ok()) return claimed.status();
  if (claimed->row_count() == 0) return Fenced();
  last_mark_.reset();
  if (!claimed->is_null(0, 0)) last_mark_ = claimed->bits(0, 0);
  return absl::OkStatus();
}

absl::StatusOr<bool> PostgresMarks::Set(PostgresConnection& connection, uint64_t mark) {
  const absl::StatusOr<PostgresResult> set = connection.Query(
      "UPDATE headway_marks SET epoch = $5 WHERE store = $1 AND step = $2 AND lane = $3 AND "
      "generation = $4 AND (epoch IS NULL OR epoch < $5) RETURNING epoch",
      {store_, step_, lane_, generation_, mark});
  if (!set.ok()) return set.status();
  if (set->row_count() == 1) return true;
  const absl::StatusOr<PostgresResult> present = connection.Query(
      "SELECT epoch FROM headway_marks WHERE store = $1 AND step = $2 AND lane = $3 AND "
      "generation = $4",
      {store_, step_, lane_, generation_});
  if (!present.ok()) return present.status();
  if (present->row_count() == 0) return Fenced();
  if (present->bits(0, 0) == mark) return false;
  return absl::FailedPreconditionError(
      absl::StrCat("the lane '", lane_, "' of the sink has published epoch ", present->bits(0, 0),
                   " already, and the run is at ", mark, ": do not change headway_marks"));
}

absl::Status PostgresMarks::Fenced() const {
  return absl::AbortedError(absl::StrCat("the lane '", lane_,
                                         "' of the sink belongs to a later generation of the run "
                                         "than ",
                                         generation_, ": this process was given up"));
}

}  // namespace headway::internal
