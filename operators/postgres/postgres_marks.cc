#include "operators/postgres/postgres_marks.h"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "comm/wire/printable.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/step_context.h"
#include "engine/store/postgres.h"

namespace headway::internal {
namespace {

std::string RandomToken() {
  std::random_device random;
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8),
                      absl::Hex(random(), absl::kZeroPad8), absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

PostgresMarks::PostgresMarks(const SinkContext& context, std::string lane)
    : store_(context.store_id),
      step_(context.step_id),
      lane_(std::move(lane)),
      generation_(context.generation),
      token_(RandomToken()) {}

absl::Status PostgresMarks::Claim(PostgresConnection& connection) {
  absl::Status status = TryClaim(connection);
  if (!absl::IsNotFound(status)) return status;
  // "headway" as a number: two that make the table at once would fail.
  HEADWAY_RETURN_IF_ERROR(connection.Execute(
      "BEGIN; SELECT pg_advisory_xact_lock(29382023577592185);"
      "CREATE TABLE IF NOT EXISTS headway_marks(store text NOT NULL, step text NOT NULL,"
      "  lane text NOT NULL, generation bigint NOT NULL, token text NOT NULL, epoch bigint,"
      "  session_pid integer NOT NULL, session_start timestamptz NOT NULL,"
      "  PRIMARY KEY(store, step, lane));"
      "COMMIT"));
  return TryClaim(connection);
}

absl::Status PostgresMarks::TryClaim(PostgresConnection& connection) {
  // A process that stands still in a transaction would hold the row. The first claim also takes the
  // lane from another writer of this generation; later ones do not take it back.
  HEADWAY_RETURN_IF_ERROR(
      connection.Run("SELECT pg_terminate_backend(pid) FROM headway_marks JOIN pg_stat_activity "
                     "ON pid = session_pid AND backend_start = session_start "
                     "WHERE store = $1 AND step = $2 AND lane = $3 AND pid <> pg_backend_pid() AND "
                     "(generation < $4 OR token = $5 OR (generation = $4 AND $6 = 0))",
                     {store_, step_, lane_, generation_, token_, is_claimed_ ? 1 : 0}));
  const absl::StatusOr<PostgresResult> claimed = connection.Query(
      "INSERT INTO headway_marks AS marks "
      "SELECT $1, $2, $3, $4, $5, NULL, pid, backend_start "
      "FROM pg_stat_activity WHERE pid = pg_backend_pid() "
      "ON CONFLICT (store, step, lane) DO UPDATE SET generation = EXCLUDED.generation, "
      "token = EXCLUDED.token, session_pid = EXCLUDED.session_pid, "
      "session_start = EXCLUDED.session_start "
      "WHERE marks.generation < EXCLUDED.generation OR marks.token = EXCLUDED.token OR "
      "(marks.generation = EXCLUDED.generation AND $6 = 0) RETURNING epoch",
      {store_, step_, lane_, generation_, token_, is_claimed_ ? 1 : 0});
  if (!claimed.ok()) return claimed.status();
  if (claimed->row_count() == 0) return Fenced();
  is_claimed_ = true;
  std::optional<uint64_t> mark;
  if (!claimed->is_null(0, 0)) mark = claimed->bits(0, 0);
  if (last_mark_.has_value() && (!mark.has_value() || *mark < *last_mark_)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has lost transactions: it has committed epoch ", *last_mark_,
        " of the lane '", lane_, "' of the sink, and now ",
        mark.has_value() ? absl::StrCat("epoch ", *mark, " is the last") : "has no epoch",
        ", as after a failover to a standby that was behind; see which rows the table lacks, then "
        "start "
        "the run again, which publishes the epochs that its recovery store still has"));
  }
  last_mark_ = mark;
  return absl::OkStatus();
}

absl::StatusOr<bool> PostgresMarks::Set(PostgresConnection& connection, uint64_t mark) {
  const absl::StatusOr<PostgresResult> set = connection.Query(
      "UPDATE headway_marks SET epoch = $5 WHERE store = $1 AND step = $2 AND lane = $3 AND "
      "token = $4 AND (epoch IS NULL OR epoch < $5) RETURNING epoch",
      {store_, step_, lane_, token_, mark});
  if (!set.ok()) return set.status();
  if (set->row_count() == 1) return true;
  const absl::StatusOr<PostgresResult> present = connection.Query(
      "SELECT epoch FROM headway_marks WHERE store = $1 AND step = $2 AND lane = $3 AND "
      "token = $4",
      {store_, step_, lane_, token_});
  if (!present.ok()) return present.status();
  if (present->row_count() == 0) return Fenced();
  if (present->bits(0, 0) == mark) return false;
  return absl::FailedPreconditionError(absl::StrCat(
      "the lane '", Printable(lane_), "' of the sink has published epoch ", present->bits(0, 0),
      " already, and the run is at ", mark, ": do not change headway_marks"));
}

absl::Status PostgresMarks::Fenced() const {
  return absl::AbortedError(absl::StrCat(
      "the lane '", Printable(lane_),
      "' of the sink belongs to a later generation of the run than ", generation_,
      ", or to another run with a copy of its recovery store: this process was given up"));
}

}  // namespace headway::internal
