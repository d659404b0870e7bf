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
#include "operators/postgres/postgres_target.h"

namespace headway::internal {
namespace {

// The text of an array of the server.
std::string ArrayOf(std::span<const std::string> elements) {
  std::string array = "{";
  for (const std::string& element : elements) {
    array.append(array.size() == 1 ? "\"" : ",\"");
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
  sql_ = absl::StrCat("SELECT array_position($1, ", key, "), ", QuotedNames(columns_), " FROM ",
                      QuotedTable(options.table), " WHERE ", key, " = ANY($1)");
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
