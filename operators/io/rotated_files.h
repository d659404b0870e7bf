#ifndef HEADWAY_OPERATORS_IO_ROTATED_FILES_H_
#define HEADWAY_OPERATORS_IO_ROTATED_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace headway::internal {

// The names of rotated files: that of the log, then a number (".1", ".2"), or a date ("-20260131",
// ".2026-01-31T10:00"), then the extension of a compressed file (".gz").

// Matches the end of each such name, and others.
inline constexpr const char* kRotatedPattern = "[.-][0-9]*";

// Returns the length of the name of the log whose rotated file has the path: "log" of "log.1" and
// "log-20260131.gz". 0: the path is not that of a rotated file.
size_t LogNameLength(std::string_view path);

// The rotated files of the log at `path`, the oldest first: those with dates, then those with
// numbers, of which the greatest is the oldest. A compressed file whose uncompressed one is there
// too, and which may not be complete, is left out. Errors: the directory cannot be read,
// for another reason than a lack of permission.
absl::StatusOr<std::vector<std::string>> RotatedFiles(std::string_view path);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_ROTATED_FILES_H_
