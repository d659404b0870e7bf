#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_WRITER_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_WRITER_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/activator.h"
#include "engine/store/postgres.h"
#include "operators/postgres/postgres_marks.h"
#include "operators/postgres/postgres_session.h"
#include "operators/postgres/postgres_target.h"

namespace headway::internal {

// Rows that are written in one transaction.
struct PostgresBatch {
  std::string lines = {};  // of COPY
  size_t row_count = 0;    // of the lines
  // More rows: lines without their end and, in a target that upserts, without their number.
  std::span<const std::string_view> items = {};
  std::optional<uint64_t> mark = {};  // of a transactional sink
};

// Writes batches into a table, on a thread of its own with a connection of its own. A batch that
// fails because the server is away, or because of a conflict, is written again, until the target's
// timeout has passed. Belongs to the worker's thread.
class PostgresWriter {
 public:
  // Connects and checks that the table takes the rows. `marks`: those of the lane, or null.
  static absl::StatusOr<std::unique_ptr<PostgresWriter>> Open(PostgresTarget target,
                                                              std::unique_ptr<PostgresMarks> marks,
                                                              const ThreadActivator& activator);
  // Gives up the batches that are not committed.
  ~PostgresWriter();
  PostgresWriter(const PostgresWriter&) = delete;
  PostgresWriter& operator=(const PostgresWriter&) = delete;

  const PostgresTarget& target() const { return target_; }
  // The mark of the last transaction of the lane, as of Open.
  std::optional<uint64_t> last_mark() const;

  // Whether Add does not wait.
  bool HasRoom();
  // Takes the batch, and leaves an empty one there. Waits while two are not committed. A failure
  // may be one of an earlier batch.
  absl::Status Add(PostgresBatch& batch);
  // Whether all batches are committed.
  absl::StatusOr<bool> IsIdle();

 private:
  PostgresWriter(PostgresTarget target, std::unique_ptr<PostgresMarks> marks,
                 const ThreadActivator& activator);

  absl::Status CheckTarget(PostgresConnection& connection) const;
  void Run();
  // On the thread, as the function below.
  absl::Status TryOnce(PostgresConnection& connection, const PostgresBatch& batch);
  absl::Status CopyRows(PostgresConnection& connection, const PostgresBatch& batch);

  const PostgresTarget target_;
  const std::unique_ptr<PostgresMarks> marks_;
  const ThreadActivator activator_;
  PostgresSession session_;  // the thread's, once it runs
  std::string piece_;        // of a copy

  std::mutex mutex_;  // guards the members below, up to the thread
  std::condition_variable changed_;
  std::optional<PostgresBatch> waiting_;
  std::string spare_;  // memory for lines
  absl::Status status_;
  bool is_writing_ = false;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_WRITER_H_
