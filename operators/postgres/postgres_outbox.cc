#include "operators/postgres/postgres_outbox.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/step/outbox.h"
#include "operators/io/text_value.h"
#include "operators/postgres/postgres_row.h"
#include "operators/postgres/postgres_target.h"

namespace headway::internal {
namespace {

// The first byte of the head. No row has it.
constexpr char kHead = '\0';

std::string HeadOf(const std::vector<std::string>& columns) {
  std::string head(1, kHead);
  head.append(QuotedNames(columns));
  return head;
}

}  // namespace

PostgresOutboxRows::PostgresOutboxRows(const PostgresTarget& target)
    : table_(target.address.description), head_(HeadOf(target.columns)) {}

absl::Status PostgresOutboxRows::Add(std::string_view row, Outbox& outbox) const {
  if (!IsPostgresText(row)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a record has a text that is not UTF-8, or has a NUL character, which ", table_,
        " does not take: write it as bytes, or mend it before; the row is ", ShownText(row)));
  }
  if (outbox.empty()) outbox.Add(head_);
  outbox.Add(row);
  return absl::OkStatus();
}

absl::StatusOr<std::span<const std::string_view>> PostgresOutboxRows::RowsOf(
    std::span<const std::string_view> items) {
  rows_.clear();
  rows_.reserve(items.size());
  for (const std::string_view item : items) {
    if (item.empty() || item.front() != kHead) {
      rows_.push_back(item);
    } else if (item != head_) {
      const std::string_view columns = item.substr(1);
      return absl::FailedPreconditionError(absl::StrCat(
          "the outbox has rows of the columns ", absl::string_view(columns.data(), columns.size()),
          ", and the sink now writes ", head_.substr(1), " to ", table_,
          ": resume once with the columns of before, or drop the outbox with `headway "
          "recovery drop-step`, which loses its rows"));
    }
  }
  return std::span<const std::string_view>(rows_);
}

}  // namespace headway::internal
