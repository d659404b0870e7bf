#ifndef HEADWAY_OPERATORS_POSTGRES_POSTGRES_TARGET_H_
#define HEADWAY_OPERATORS_POSTGRES_POSTGRES_TARGET_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "operators/postgres/postgres_session.h"

namespace headway {

struct PostgresSinkOptions {
  // A URI or another connection string of libpq: "postgresql://user@host/database".
  std::string connection = {};
  std::string table = {};  // "counts", or "shop.counts" with its schema
  // Of the table, for the columns of a record in their order. Empty: the names of HEADWAY_COLUMNS.
  std::vector<std::string> columns = {};
  // Columns with a unique index. A row takes the place of the one with the same key. Empty: rows
  // are appended.
  std::vector<std::string> key = {};
  // Rows that PostgresSink writes in one transaction, if their epoch does not end before.
  size_t batch_rows = 100'000;
  size_t batch_bytes = size_t{4} << 20;
  // How long a server that is away, or a lock, is waited for.
  absl::Duration timeout = absl::Seconds(30);
};

namespace internal {

// A name in SQL, with its schema if it has one.
std::string QuotedTable(std::string_view table);
std::string QuotedName(std::string_view name);
// "a", "b"
std::string QuotedNames(const std::vector<std::string>& names);

PostgresAddress AddressOfTable(const std::string& connection, const std::string& table,
                               absl::Duration timeout);

// A table and the statements that write to it.
struct PostgresTarget {
  // InvalidArgument: an option is missing or wrong.
  static absl::StatusOr<PostgresTarget> Of(const PostgresSinkOptions& options,
                                           const std::vector<std::string>& columns);

  bool upserts() const { return !insert.empty(); }

  PostgresAddress address;
  std::vector<std::string> columns;
  std::vector<bool> is_key;  // of the columns
  std::string begin;         // a session; may be empty
  std::string check;         // that the rows can be inserted; empty: see if they can be copied
  std::string copy;          // with upserts: each row ends with its number
  std::string insert;        // the rows that were copied; empty: the copy is the table
};

// InvalidArgument: a record has NULL in the column, which is one of the key.
absl::Status PostgresNullKeyError(const PostgresTarget& target, std::string_view column);

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_POSTGRES_POSTGRES_TARGET_H_
