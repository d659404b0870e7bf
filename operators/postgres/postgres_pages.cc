#include "operators/postgres/postgres_pages.h"

#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/store/postgres.h"

namespace headway::internal {
namespace {

constexpr int kPageRows = 10'000;

std::string PageSql(std::string_view selection, std::string_view key, std::string_view condition) {
  std::string sql(selection);
  sql.append(" WHERE ").append(key).append(condition).append(" ORDER BY ").append(key);
  absl::StrAppend(&sql, " LIMIT ", kPageRows);
  return sql;
}

}  // namespace

PostgresPages::PostgresPages(PostgresAddress address, std::string_view selection,
                             std::string_view quoted_key, std::optional<std::string> after,
                             const ThreadActivator& activator)
    : first_sql_(PageSql(selection, quoted_key, " IS NOT NULL")),
      next_sql_(PageSql(selection, quoted_key, " > $1")),
      activator_(activator),
      session_(std::move(address), [](PostgresConnection&) { return absl::OkStatus(); }),
      after_(std::move(after)),
      thread_([this] { Run(); }) {}

PostgresPages::~PostgresPages() {
  {
    std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  session_.Interrupt();
  thread_.join();
}

absl::StatusOr<std::optional<PostgresPage>> PostgresPages::Take() {
  std::lock_guard lock(mutex_);
  if (thrown_ != nullptr) std::rethrow_exception(thrown_);
  if (!page_.has_value()) return std::nullopt;
  if (!page_->ok()) return page_->status();
  std::optional<PostgresPage> page = *std::move(*page_);
  page_.reset();
  changed_.notify_all();
  return page;
}

void PostgresPages::Run() {
  bool is_last = false;
  while (!is_last) {
    std::optional<absl::StatusOr<PostgresPage>> page;
    std::exception_ptr thrown;
    try {
      page = Fetch();
    } catch (...) {
      thrown = std::current_exception();
    }
    is_last = thrown != nullptr || !page->ok() || (*page)->is_last;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ends_ || !page_.has_value(); });
    if (ends_) return;
    page_ = std::move(page);
    thrown_ = thrown;
    activator_.Activate();
  }
}

absl::StatusOr<PostgresPage> PostgresPages::Fetch() {
  std::optional<PostgresResult> rows;
  absl::Status status = session_.Call([&](PostgresConnection& connection) {
    auto result = after_.has_value() ? connection.Query(next_sql_.c_str(), {*after_})
                                     : connection.Query(first_sql_.c_str());
    if (!result.ok()) return result.status();
    rows = *std::move(result);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  const int count = rows->row_count();
  if (count > 0) after_ = rows->bytes(count - 1, 0);
  return PostgresPage{.rows = *std::move(rows), .is_last = count < kPageRows};
}

}  // namespace headway::internal
