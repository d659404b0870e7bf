#include "operators/postgres/postgres_row.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "engine/store/postgres.h"

namespace headway::internal {
namespace {

// Whether COPY reads another character there.
bool IsEscaped(char c) { return c == '\\' || c == '\t' || c == '\n' || c == '\r'; }

// Appends a number with leading zeros.
void AppendDigits(std::string& out, int64_t value, size_t digits) {
  const std::string_view zeros = "000000000";
  const size_t begin = out.size();
  AppendNumber(out, value);
  const size_t size = out.size() - begin;
  if (size < digits) out.insert(begin, zeros.substr(0, digits - size));
}

}  // namespace

bool IsPostgresText(std::string_view text) {
  const auto byte_at = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const uint8_t first = byte_at(i);
    if (first > 0 && first < 0x80) {
      ++i;
      continue;
    }
    // Neither a longer form of a shorter character, nor one behind the last.
    const size_t size = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
    if (size == 0 || size > text.size() - i) return false;
    const uint8_t second = byte_at(i + 1);
    if (first == 0xE0 && second < 0xA0) return false;
    if (first == 0xED && second > 0x9F) return false;  // halves of UTF-16 characters
    if (first == 0xF0 && second < 0x90) return false;
    if (first == 0xF4 && second > 0x8F) return false;
    for (size_t k = 1; k < size; ++k) {
      if ((byte_at(i + k) & 0xC0) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

void AppendCopyText(std::string& row, std::string_view text) {
  while (true) {
    size_t end = 0;
    while (end < text.size() && !IsEscaped(text[end])) ++end;
    row.append(text.substr(0, end));
    if (end == text.size()) return;
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

void AppendPostgresBytes(std::string& out, std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.append("\\x");
  for (const std::byte byte : bytes) {
    out.push_back(kDigits[std::to_integer<size_t>(byte >> 4)]);
    out.push_back(kDigits[std::to_integer<size_t>(byte & std::byte{15})]);
  }
}

void AppendPostgresTime(std::string& out, absl::Time time) {
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
    out.append(time == absl::InfinitePast() ? "-infinity" : "infinity");
    return;
  }
  const absl::TimeZone::CivilInfo info = absl::UTCTimeZone().At(time);
  const absl::CivilSecond& civil = info.cs;
  const bool is_before_christ = civil.year() <= 0;  // there is no year 0
  AppendDigits(out, is_before_christ ? 1 - civil.year() : civil.year(), 4);
  out.push_back('-');
  AppendDigits(out, civil.month(), 2);
  out.push_back('-');
  AppendDigits(out, civil.day(), 2);
  out.push_back(' ');
  AppendDigits(out, civil.hour(), 2);
  out.push_back(':');
  AppendDigits(out, civil.minute(), 2);
  out.push_back(':');
  AppendDigits(out, civil.second(), 2);
  out.push_back('.');
  // Not rounded up: the last microsecond of a second would have seven digits.
  AppendDigits(out, absl::ToInt64Microseconds(info.subsecond), 6);
  out.append("+00");
  if (is_before_christ) out.append(" BC");
}

void ReadPostgresFields(const PostgresResult& rows, int row, int first,
                        const std::vector<std::string>& names, std::vector<PostgresField>& fields) {
  fields.clear();
  int column = first;
  for (const std::string& name : names) {
    PostgresField& field = fields.emplace_back(PostgresField{.column = name, .text = {}});
    if (!rows.is_null(row, column)) field.text = rows.bytes(row, column);
    ++column;
  }
}

bool ReadPostgresTime(std::string_view text, absl::Time& time) {
  if (text == "infinity" || text == "-infinity") {
    time = text == "infinity" ? absl::InfiniteFuture() : absl::InfinitePast();
    return true;
  }
  std::string_view rest = text;
  std::string astronomical;
  if (rest.ends_with(" BC")) {
    // The year 1 BC is 0, and 2 BC is -1.
    rest.remove_suffix(3);
    int64_t year = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), year);
    if (error != std::errc()) return false;
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    AppendNumber(astronomical, 1 - year);
    astronomical.append(rest);
    rest = astronomical;
  }
  const absl::string_view of_absl(rest.data(), rest.size());
  return absl::ParseTime("%Y-%m-%d %H:%M:%E*S%Ez", of_absl, &time, nullptr) ||
         absl::ParseTime("%Y-%m-%d %H:%M:%E*S", of_absl, &time, nullptr) ||  // without time zone
         absl::ParseTime("%Y-%m-%d", of_absl, &time, nullptr);
}

bool CountPostgresUnits(absl::Time time, absl::Duration unit, int64_t& count) {
  using Limits = std::numeric_limits<int64_t>;
  if (time == absl::InfiniteFuture() || time == absl::InfinitePast()) return false;
  const absl::Duration since = time - absl::UnixEpoch();
  if (since > unit * Limits::max() || since < unit * Limits::min()) return false;
  absl::Duration rest;
  count = absl::IDivDuration(since, unit, &rest);
  if (rest < absl::ZeroDuration()) --count;
  return true;
}

bool ReadPostgresBytes(std::string_view text, std::vector<std::byte>& bytes) {
  if (!text.starts_with("\\x") || text.size() % 2 != 0) return false;
  bytes.clear();
  bytes.reserve(text.size() / 2 - 1);
  for (size_t i = 2; i < text.size(); i += 2) {
    uint8_t byte = 0;
    const char* const end = text.data() + i + 2;
    const auto [at, error] = std::from_chars(text.data() + i, end, byte, 16);
    if (error != std::errc() || at != end) return false;
    bytes.push_back(std::byte{byte});
  }
  return true;
}

}  // namespace headway::internal
