#include "operators/postgres/postgres_table.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"
#include "engine/store/postgres.h"
#include "operators/io/text_value.h"
#include "operators/postgres/postgres_row.h"
#include "operators/postgres/postgres_target.h"

namespace headway::internal {
namespace {

// The text of an array of the server. NULL, which equals nothing, is in the place of elements that
// no text of the server can be.
std::string ArrayOf(std::span<const std::string> elements) {
  std::string array = "{";
  for (const std::string& element : elements) {
    if (array.size() > 1) array.push_back(',');
    if (!IsPostgresText(element)) {
      array.append("NULL");
      continue;
    }
    array.push_back('"');
    for (const char c : element) {
      if (c == '"' || c == '\\') array.push_back('\\');
      array.push_back(c);
    }
    array.push_back('"');
  }
  array.push_back('}');
  return array;
}

}  // namespace

PostgresLookup::PostgresLookup(const PostgresTableOptions& options,
                               std::vector<std::string> columns)
    : columns_(std::move(columns)),
      table_(options.table),
      session_(AddressOfTable(options.connection, options.table, options.timeout),
               [](PostgresConnection&) { return absl::OkStatus(); }) {
  const std::string key = QuotedName(options.key);
  const std::string table = QuotedTable(options.table);
  // Several texts may be equal to one value, such as 1 and 1.0. The server finds the type of the
  // array by the type of the column: that of the array of no rows.
  std::string of_table;
  for (const std::string& column : columns_) {
    absl::StrAppend(&of_table, ", headway_table.", QuotedName(column));
  }
  sql_ = absl::StrCat("SELECT headway_keys.number", of_table,
                      " FROM unnest(coalesce($1, (SELECT array_agg(", key, ") FROM ", table,
                      " WHERE false))) WITH ORDINALITY AS headway_keys(key, number) JOIN ", table,
                      " AS headway_table ON headway_table.", key, " = headway_keys.key");
}

absl::Status PostgresLookup::Find(
    std::span<const std::string> keys,
    absl::FunctionRef<absl::Status(size_t, std::span<const PostgresField>)> f) {
  return session_.Call([&](PostgresConnection& connection) { return Query(connection, keys, f); });
}

absl::Status PostgresLookup::Query(
    PostgresConnection& connection, std::span<const std::string> keys,
    absl::FunctionRef<absl::Status(size_t, std::span<const PostgresField>)> f) {
  const absl::StatusOr<PostgresResult> rows = connection.Query(sql_.c_str(), {ArrayOf(keys)});
  if (!rows.ok()) return rows.status();
  std::vector<bool> is_found(keys.size());
  std::vector<PostgresField> fields;
  for (int row = 0; row < rows->row_count(); ++row) {
    const auto index = static_cast<size_t>(rows->integer(row, 0) - 1);
    if (index >= keys.size()) {
      return absl::InternalError(
          absl::StrCat("the table '", table_, "' has answered for a key that was not asked for"));
    }
    if (is_found[index]) {
      return absl::InvalidArgumentError(
          absl::StrCat("the table '", table_, "' has several rows with the key ",
                       ShownText(keys[index]), ": look up a column with a unique index"));
    }
    is_found[index] = true;
    ReadPostgresFields(*rows, row, 1, columns_, fields);
    HEADWAY_RETURN_IF_ERROR(f(index, fields));
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
