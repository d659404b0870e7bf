#include "operators/postgres/postgres_row.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace headway::internal {
namespace {

// Appends a number with leading zeros.
void AppendDigits(std::string& row, int64_t value, size_t digits) {
  const std::string_view zeros = "000000000";
  const size_t begin = row.size();
  AppendNumber(row, value);
  const size_t size = row.size() - begin;
  if (size < digits) row.insert(begin, zeros.substr(0, digits - size));
}

}  // namespace

void AppendCopyText(std::string& row, std::string_view text) {
  while (true) {
    const size_t end = text.find_first_of("\\\t\n\r");
    row.append(text.substr(0, end));
    if (end == std::string_view::npos) return;
    row.push_back('\\');
    switch (text[end]) {
      case '\t':
        row.push_back('t');
        break;
      case '\n':
        row.push_back('n');
        break;
      case '\r':
        row.push_back('r');
        break;
      default:
        row.push_back('\\');
    }
    text.remove_prefix(end + 1);
  }
}

void AppendCopyBytes(std::string& row, std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  row.append("\\\\x");
  for (const std::byte byte : bytes) {
    row.push_back(kDigits[std::to_integer<size_t>(byte >> 4)]);
    row.push_back(kDigits[std::to_integer<size_t>(byte & std::byte{15})]);
  }
}

void AppendCopyTime(std::string& row, absl::Time time) {
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
    row.append(time == absl::InfinitePast() ? "-infinity" : "infinity");
    return;
  }
  const absl::TimeZone::CivilInfo info = absl::UTCTimeZone().At(time);
  const absl::CivilSecond& civil = info.cs;
  const bool is_before_christ = civil.year() <= 0;  // there is no year 0
  AppendDigits(row, is_before_christ ? 1 - civil.year() : civil.year(), 4);
  row.push_back('-');
  AppendDigits(row, civil.month(), 2);
  row.push_back('-');
  AppendDigits(row, civil.day(), 2);
  row.push_back(' ');
  AppendDigits(row, civil.hour(), 2);
  row.push_back(':');
  AppendDigits(row, civil.minute(), 2);
  row.push_back(':');
  AppendDigits(row, civil.second(), 2);
  row.push_back('.');
  // Not rounded up: the last microsecond of a second would have seven digits.
  AppendDigits(row, absl::ToInt64Microseconds(info.subsecond), 6);
  row.append("+00");
  if (is_before_christ) row.append(" BC");
}

}  // namespace headway::internal
