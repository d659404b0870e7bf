#ifndef HEADWAY_OPERATORS_PARQUET_PARQUET_PATHS_H_
#define HEADWAY_OPERATORS_PARQUET_PARQUET_PATHS_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace headway::internal {

// The files of paths, which are files, patterns or directories, sorted. Links are followed. A
// file that has several names has the first alone. NotFound: a path names no file.
absl::StatusOr<std::vector<std::string>> ParquetFiles(const std::vector<std::string>& paths);

// The columns of the directories `column=value` of a path, with bytes %xx decoded. nullopt is null.
std::map<std::string, std::optional<std::string>> PathColumns(const std::string& path);

// The text with other bytes than letters, digits and a few signs as %xx: a part of a name.
std::string PathText(std::string_view text);

// The name of such a directory, of which PathColumns makes the column again.
std::string PathOfColumn(std::string_view column, const std::optional<std::string>& value);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_PARQUET_PARQUET_PATHS_H_
