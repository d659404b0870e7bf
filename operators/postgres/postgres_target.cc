#include "operators/postgres/postgres_target.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "engine/store/postgres.h"

namespace headway::internal {

std::string QuotedName(std::string_view name) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(absl::string_view(name.data(), name.size()), {{"\"", "\"\""}}),
      "\"");
}

std::string QuotedTable(std::string_view table) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(table.data(), table.size()), '.');
  return absl::StrJoin(
      parts, ".", [](std::string* out, const std::string& part) { out->append(QuotedName(part)); });
}

std::string QuotedNames(const std::vector<std::string>& names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) {
    out->append(QuotedName(name));
  });
}

PostgresAddress AddressOfTable(const std::string& connection, const std::string& table,
                               absl::Duration timeout) {
  return {.connection = connection,
          .description =
              absl::StrCat("the table '", table, "' in ", DescribePostgresDatabase(connection)),
          .timeout = timeout};
}

absl::StatusOr<PostgresTarget> PostgresTarget::Of(const PostgresSinkOptions& options,
                                                  const std::vector<std::string>& columns) {
  if (options.table.empty()) return absl::InvalidArgumentError("name the table of the sink");
  if (options.batch_rows == 0 || options.batch_bytes == 0 ||
      options.timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("batch_rows, batch_bytes and timeout must be positive");
  }
  for (const std::string& key : options.key) {
    if (std::find(columns.begin(), columns.end(), key) != columns.end()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the key has the column '", key, "', which is not one of the record"));
  }
  const std::string table = QuotedTable(options.table);
  const std::string names = QuotedNames(columns);
  PostgresTarget target{
      .address = AddressOfTable(options.connection, options.table, options.timeout),
      .columns = columns,
      .is_key = {},
      .begin = {},
      .check = {},
      .copy = absl::StrCat("COPY ", table, " (", names, ") FROM STDIN"),
      .insert = {},
  };
  for (const std::string& column : columns) {
    target.is_key.push_back(std::find(options.key.begin(), options.key.end(), column) !=
                            options.key.end());
  }
  if (options.key.empty()) return target;
  std::string insert = absl::StrCat("INSERT INTO ", table, " (", names, ") ");
  // INSERT refuses two rows with one key, so that the last one of each is taken. Sorted keys also
  // keep two writers from waiting for each other.
  absl::StrAppend(&target.begin, "CREATE TEMP TABLE headway_rows ON COMMIT DELETE ROWS AS SELECT ",
                  names, ", 0::bigint AS headway_number FROM ", table, " WITH NO DATA");
  target.copy = "COPY headway_rows FROM STDIN";
  const std::string key = QuotedNames(options.key);
  absl::StrAppend(&insert, "SELECT DISTINCT ON (", key, ") ", names, " FROM headway_rows ORDER BY ",
                  key, ", headway_number DESC ON CONFLICT (", key, ") DO ");
  std::vector<std::string> changes;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (target.is_key[i]) continue;
    const std::string name = QuotedName(columns[i]);
    changes.push_back(absl::StrCat(name, " = EXCLUDED.", name));
  }
  absl::StrAppend(&insert, changes.empty() ? "NOTHING" : "UPDATE SET ",
                  absl::StrJoin(changes, ", "));
  target.check = absl::StrCat("EXPLAIN ", insert);
  target.insert = std::move(insert);
  return target;
}

absl::Status PostgresNullKeyError(const PostgresTarget& target, std::string_view column) {
  return absl::InvalidArgumentError(absl::StrCat(
      "a record for ", target.address.description, " has NULL in the column '",
      absl::string_view(column.data(), column.size()),
      "' of the key, which takes no other row's place: give it a value, or leave it out "
      "with a step before"));
}

}  // namespace headway::internal
