#include "operators/io/rotated_files.h"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "operators/io/matching_files.h"

namespace headway::internal {
namespace {

// Of these the sources read only the first two. The others are an error when it is their turn.
constexpr std::string_view kExtensions[] = {".gz", ".zst", ".bz2", ".xz"};
constexpr size_t kMaxDigits = 18;       // of an int64_t
constexpr size_t kMaxNumberDigits = 4;  // of a rotated file; a longer number is a date
constexpr size_t kMinDateDigits = 8;

// Sorts the rotated files of a log, the oldest first.
struct Age {
  int64_t minus_number = 0;        // 0: it has a date
  std::vector<int64_t> date = {};  // the numbers in its text
  bool is_compressed = false;

  auto operator<=>(const Age&) const = default;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The path without the extension of a compressed file.
std::string_view Plain(std::string_view path) {
  for (const std::string_view extension : kExtensions) {
    if (path.ends_with(extension)) return path.substr(0, path.size() - extension.size());
  }
  return path;
}

// Takes the digits at the beginning of the text; -1: there are none, or too many.
int64_t TakeNumber(std::string_view& text) {
  const auto* const end = std::ranges::find_if_not(text, IsDigit);
  const auto size = static_cast<size_t>(end - text.begin());
  if (size == 0 || size > kMaxDigits) return -1;
  int64_t number = 0;
  for (const char c : text.substr(0, size)) number = 10 * number + (c - '0');
  text.remove_prefix(size);
  return number;
}

// The age that the end of a path says, from behind the name of the log on.
std::optional<Age> AgeOf(std::string_view suffix) {
  const std::string_view plain = Plain(suffix);
  Age age{.is_compressed = plain.size() < suffix.size()};
  if (plain.size() < 2 || (plain[0] != '.' && plain[0] != '-')) return std::nullopt;
  std::string_view text = plain.substr(1);
  const bool all_digits = std::ranges::all_of(text, IsDigit);
  if (all_digits && text.size() <= kMaxNumberDigits) {
    if (plain[0] != '.') return std::nullopt;  // "worker-2" is no rotated "worker"
    age.minus_number = -TakeNumber(text) - 1;
    return age;
  }
  // "20260131" or "2026-01-31", and a time or a number behind it.
  if (std::ranges::count_if(text, IsDigit) < static_cast<ptrdiff_t>(kMinDateDigits) ||
      (!text.starts_with("19") && !text.starts_with("20"))) {
    return std::nullopt;
  }
  while (!text.empty()) {
    const int64_t number = TakeNumber(text);
    if (number < 0) return std::nullopt;
    age.date.push_back(number);
    if (text.empty()) break;
    if (std::string_view("-_.:T").find(text[0]) == std::string_view::npos) return std::nullopt;
    text.remove_prefix(1);
  }
  return age;
}

}  // namespace

size_t LogNameLength(std::string_view path) {
  const size_t slash = path.rfind('/');
  const size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  // The longest suffix: "log" is the log of "log.2026-01-31.1".
  for (size_t length = name + 1; length < path.size(); ++length) {
    if (AgeOf(path.substr(length)).has_value()) return length;
  }
  return 0;
}

absl::StatusOr<std::vector<std::string>> RotatedFiles(std::string_view path) {
  std::string pattern;
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') pattern.push_back('\\');
    pattern.push_back(c);
  }
  absl::StatusOr<std::vector<std::string>> files = MatchingPaths(pattern + kRotatedPattern);
  // A directory that may be passed through, and not listed, shows no rotated files.
  if (absl::IsPermissionDenied(files.status())) return std::vector<std::string>();
  if (!files.ok()) return files.status();
  std::vector<std::pair<Age, std::string>> aged;
  for (std::string& file : *files) {
    std::optional<Age> age = AgeOf(std::string_view(file).substr(path.size()));
    if (age.has_value() && IsRegularFile(file)) aged.emplace_back(*std::move(age), std::move(file));
  }
  std::ranges::sort(aged, [](const auto& a, const auto& b) {
    const bool a_is_dated = a.first.minus_number == 0;
    const bool b_is_dated = b.first.minus_number == 0;
    return a_is_dated != b_is_dated ? a_is_dated : a.first < b.first;
  });
  std::vector<std::string> sorted;
  for (size_t i = 0; i < aged.size(); ++i) {
    const bool is_copy = i > 0 && aged[i].first.minus_number == aged[i - 1].first.minus_number &&
                         aged[i].first.date == aged[i - 1].first.date;
    if (!is_copy) sorted.push_back(std::move(aged[i].second));
  }
  return sorted;
}

}  // namespace headway::internal
