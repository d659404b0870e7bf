#ifndef HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_
#define HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

// Parsers of the values of flags. An error is the end of a sentence that begins with the flag and
// the value: "is not a whole number from 1 to 256".

namespace headway::internal {

absl::StatusOr<int> ParseNumber(std::string_view text, int min, int max);
// Parses a positive duration in Abseil's notation: "500ms", "1m30s".
absl::StatusOr<absl::Duration> ParsePositiveDuration(std::string_view text);
// Parses a positive number of bytes with the unit KiB, MiB, GiB or none: "64MiB".
absl::StatusOr<int64_t> ParseBytes(std::string_view text);
// Parses "host:port;[ipv6]:port".
absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view text);
// Returns the number at the end of a pod's name: 3 for "words-3" in the stateful set "words".
// Without a name of the set, any name before the last '-' will do.
absl::StatusOr<int> ParsePodOrdinal(std::string_view pod_name,
                                    const std::optional<std::string>& stateful_set);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_
