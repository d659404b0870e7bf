#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_OUTBOX_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_OUTBOX_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/outbox.h"
#include "operators/postgres/postgres_target.h"

namespace headway::internal {

// The rows of a lane in its outboxes. The outbox of an epoch begins with the names of the columns,
// because a later program may publish it. Belongs to the worker's thread.
class PostgresOutboxRows {
 public:
  explicit PostgresOutboxRows(const PostgresTarget& target);

  // Adds a line of COPY. InvalidArgument: the server would refuse its text, which must be known
  // before the epoch is committed.
  absl::Status Add(std::string_view row, Outbox& outbox) const;
  // The rows among the items, which must outlive their use. Valid until the next call.
  // FailedPrecondition: they are rows of other columns.
  absl::StatusOr<std::span<const std::string_view>> RowsOf(std::span<const std::string_view> items);

 private:
  const std::string table_;  // for messages
  const std::string head_;
  std::vector<std::string_view> rows_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_OUTBOX_H_
