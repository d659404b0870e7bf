#include "engine/launch/flag_values.h"

#include <charconv>
#include <limits>

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

// Parses a text that is a decimal number as a whole.
template <class Number>
std::optional<Number> WholeNumber(std::string_view text) {
  Number number;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool IsAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.find_first_of(" \t\r\n") != std::string_view::npos) return false;
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!in_brackets && host.find_first_of("[]:") != std::string_view::npos) return false;
  const std::optional<int> port = WholeNumber<int>(text.substr(colon + 1));
  return port.has_value() && *port >= 1 && *port <= 65535;
}

}  // namespace

absl::StatusOr<int64_t> ParseInteger(std::string_view text, int64_t min, int64_t max) {
  const std::optional<int64_t> number = WholeNumber<int64_t>(text);
  if (number.has_value() && *number >= min && *number <= max) return *number;
  return absl::InvalidArgumentError(
      absl::StrFormat("is not a whole number from %d to %d", min, max));
}

absl::StatusOr<int> ParseNumber(std::string_view text, int min, int max) {
  const absl::StatusOr<int64_t> number = ParseInteger(text, min, max);
  if (!number.ok()) return number.status();
  return static_cast<int>(*number);
}

absl::StatusOr<double> ParseReal(std::string_view text) {
  if (const std::optional<double> number = WholeNumber<double>(text)) return *number;
  return absl::InvalidArgumentError("is not a number");
}

absl::StatusOr<absl::Duration> ParseAnyDuration(std::string_view text) {
  absl::Duration duration;
  if (absl::ParseDuration({text.data(), text.size()}, &duration)) return duration;
  return absl::InvalidArgumentError("is not a duration with its unit, such as 500ms, 10s or 1m30s");
}

std::string FormatNumber(int64_t number) { return std::to_string(number); }

std::string FormatNumber(double number) {
  constexpr size_t kMaxLength = 32;
  char text[kMaxLength];
  return std::string(text, std::to_chars(text, text + kMaxLength, number).ptr);
}

absl::StatusOr<absl::Duration> ParsePositiveDuration(std::string_view text) {
  absl::Duration duration;
  if (absl::ParseDuration({text.data(), text.size()}, &duration) &&
      duration > absl::ZeroDuration() && duration < absl::InfiniteDuration()) {
    return duration;
  }
  return absl::InvalidArgumentError(
      "is not a positive duration with its unit, such as 500ms, 10s or 1m30s");
}

absl::StatusOr<int64_t> ParseBytes(std::string_view text) {
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB"};
  int shift = 0;
  for (int i = 0; i < 3; ++i) {
    if (text.ends_with(kUnits[i])) {
      shift = 10 * (i + 1);
      text.remove_suffix(kUnits[i].size());
      break;
    }
  }
  const std::optional<int64_t> number = WholeNumber<int64_t>(text);
  if (number.has_value() && *number > 0 &&
      *number <= std::numeric_limits<int64_t>::max() >> shift) {
    return *number << shift;
  }
  return absl::InvalidArgumentError(
      "is not a positive number of bytes, such as 1048576, 512KiB, 64MiB or 2GiB");
}

absl::StatusOr<std::vector<std::string>> ParseAddresses(std::string_view text) {
  std::vector<std::string> addresses;
  while (true) {
    const size_t end = text.find(';');
    const std::string_view address = text.substr(0, end);
    if (!IsAddress(address)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "is not a list of addresses such as \"host:2101;host:2102\": address %d, '%s', is not "
          "host:port or [ipv6]:port with a port from 1 to 65535",
          addresses.size(), address));
    }
    addresses.emplace_back(address);
    if (end == std::string_view::npos) return addresses;
    text.remove_prefix(end + 1);
  }
}

absl::StatusOr<int> ParsePodOrdinal(std::string_view pod_name,
                                    const std::optional<std::string>& stateful_set) {
  const size_t dash = pod_name.rfind('-');
  std::optional<int> ordinal;
  if (dash != std::string_view::npos) ordinal = WholeNumber<int>(pod_name.substr(dash + 1));
  const bool is_of_set = !stateful_set.has_value() || pod_name.substr(0, dash) == *stateful_set;
  if (ordinal.has_value() && *ordinal >= 0 && is_of_set) return *ordinal;
  return absl::InvalidArgumentError(absl::StrFormat(
      "does not end in the number of the process, such as '%s-3'; give -i/--process-id",
      stateful_set.value_or("name")));
}

}  // namespace headway::internal
