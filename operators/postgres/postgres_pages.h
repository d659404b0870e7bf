#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_PAGES_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_PAGES_H_

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/step/activator.h"
#include "engine/store/postgres.h"
#include "operators/postgres/postgres_session.h"

namespace headway::internal {

struct PostgresPage {
  PostgresResult rows;
  bool is_last;
};

// Queries the rows of a table by pages, in the order of their keys, on a thread of its own, one
// page ahead. Belongs to the worker's thread.
class PostgresPages {
 public:
  // `selection`: "SELECT key, ... FROM table". The first column is the key. `after`: the text of
  // the key behind which the first page begins.
  PostgresPages(PostgresAddress address, std::string_view selection, std::string_view quoted_key,
                std::optional<std::string> after, const ThreadActivator& activator);
  ~PostgresPages();
  PostgresPages(const PostgresPages&) = delete;
  PostgresPages& operator=(const PostgresPages&) = delete;

  // Returns the next page, or nothing: then the activator wakes the step when the page is there.
  // Throws an exception of the thread, such as std::bad_alloc. REQUIRES: the last page was not
  // taken.
  absl::StatusOr<std::optional<PostgresPage>> Take();

 private:
  void Run();
  // On the thread.
  absl::StatusOr<PostgresPage> Fetch();

  const std::string first_sql_;
  const std::string next_sql_;
  const ThreadActivator activator_;
  PostgresSession session_;           // the thread's
  std::optional<std::string> after_;  // the thread's

  std::mutex mutex_;  // guards the members below, up to the thread
  std::condition_variable changed_;
  std::optional<absl::StatusOr<PostgresPage>> page_;
  std::exception_ptr thrown_;  // in place of a page
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_PAGES_H_
