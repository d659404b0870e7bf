#ifndef HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_
#define HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

// Parsers of the values of flags. An error is the end of a sentence that begins with the flag and
// the value: "is not a whole number from 1 to 256".

namespace headway::internal {

absl::StatusOr<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max);
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

absl::StatusOr<double> ParseReal(std::string_view text);
// Parses a duration of any sign in Abseil's notation.
absl::StatusOr<absl::Duration> ParseAnyDuration(std::string_view text);

std::string FormatNumber(int64_t number);
std::string FormatNumber(double number);  // the shortest text that reads back as the number

// The value of a program's flag (CommandLine::AddFlag), by its type.
template <class Value>
struct FlagValue {
  static_assert(std::same_as<Value, std::string> || std::same_as<Value, absl::Duration> ||
                    std::integral<Value> || std::floating_point<Value>,
                "AddFlag: the value of a flag is a bool, an integer, a floating-point number, a "
                "std::string or an absl::Duration");

  static constexpr std::string_view kPlaceholder = std::same_as<Value, bool>          ? ""
                                                   : std::same_as<Value, std::string> ? "TEXT"
                                                   : std::same_as<Value, absl::Duration>
                                                       ? "DURATION"
                                                       : "N";

  static std::string DescribeDefault(const Value& value) {
    if constexpr (std::same_as<Value, bool>) {
      return "";
    } else if constexpr (std::same_as<Value, std::string>) {
      return value.empty() ? "" : " (" + value + ")";
    } else if constexpr (std::same_as<Value, absl::Duration>) {
      return " (" + absl::FormatDuration(value) + ")";
    } else {
      using Number = std::conditional_t<std::integral<Value>, int64_t, double>;
      return " (" + FormatNumber(static_cast<Number>(value)) + ")";
    }
  }

  // An error is the end of a sentence, as above.
  static absl::Status Store(std::string_view text, Value& value) {
    if constexpr (std::same_as<Value, bool>) {
      value = true;
    } else if constexpr (std::same_as<Value, std::string>) {
      value = std::string(text);
    } else if constexpr (std::same_as<Value, absl::Duration>) {
      return Assign(ParseAnyDuration(text), value);
    } else if constexpr (std::integral<Value>) {
      using Limits = std::numeric_limits<Value>;
      constexpr auto kMax = std::min<uint64_t>(Limits::max(), std::numeric_limits<int64_t>::max());
      return Assign(
          ParseInteger(text, static_cast<int64_t>(Limits::min()), static_cast<int64_t>(kMax)),
          value);
    } else {
      return Assign(ParseReal(text), value);
    }
    return absl::OkStatus();
  }

 private:
  template <class Parsed>
  static absl::Status Assign(const absl::StatusOr<Parsed>& parsed, Value& value) {
    if (parsed.ok()) value = static_cast<Value>(*parsed);
    return parsed.status();
  }
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_LAUNCH_FLAG_VALUES_H_
