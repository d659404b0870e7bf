#include "operators/io/csv_reader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/runtime/status_macros.h"
#include "operators/io/parsed_source.h"

namespace headway::internal {
namespace {

// With which some programs begin a file of UTF-8.
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

CsvReader::CsvReader(char delimiter, bool newlines_in_fields,
                     const std::vector<std::string>& columns)
    : parser_(delimiter),
      newlines_in_fields_(newlines_in_fields),
      has_header_(columns.empty()),
      columns_(std::make_shared<const std::vector<std::string>>(columns)) {}

absl::Status CsvReader::BeginStripe(LineReader& lines) {
  if (!has_header_ || path_ == lines.path()) return absl::OkStatus();
  path_ = lines.path();
  header_begin_ = -1;
  wants_header_ = !lines.is_regular();
  if (wants_header_) return absl::OkStatus();
  LineReader header(kMaxParsedBytes);
  HEADWAY_RETURN_IF_ERROR(header.Open(path_));
  HEADWAY_RETURN_IF_ERROR(header.BeginStripe({.end = kUnknownFileSize}, kUnknownFileSize));
  std::string_view line;
  wants_header_ = true;
  while (wants_header_) {
    absl::StatusOr<LineReader::Found> found = Next(header, &line);
    if (!found.ok()) return found.status();
    if (*found == LineReader::Found::kEnd) wants_header_ = false;  // the file has no rows
    if (*found != LineReader::Found::kLine) continue;
    const absl::StatusOr<bool> divided = Divide(header, line);
    if (!divided.ok()) {
      path_.clear();
      return absl::Status(
          divided.status().code(),
          absl::StrCat("'", lines.path(), "', header: ", divided.status().message()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LineReader::Found> CsvReader::Next(LineReader& lines, std::string_view* line) {
  if (!newlines_in_fields_) return lines.Next(line);
  const bool at_beginning = lines.position().next == 0;
  return lines.Next(line, [&](const char* bytes, size_t searched, size_t size) {
    return FindEnd(bytes, searched, size, at_beginning);
  });
}

const char* CsvReader::FindEnd(const char* bytes, size_t searched, size_t size, bool at_beginning) {
  if (at_beginning) [[unlikely]] {
    const std::string_view first(bytes, std::min(size, kByteOrderMark.size()));
    if (first == kByteOrderMark) {
      const size_t mark = kByteOrderMark.size();
      return parser_.FindEnd(bytes + mark, searched - std::min(searched, mark), size - mark);
    }
    if (kByteOrderMark.starts_with(first)) return nullptr;
    if (searched < kByteOrderMark.size()) searched = 0;  // the mark was possible until now
  }
  return parser_.FindEnd(bytes, searched, size);
}

std::string_view CsvReader::WithoutMark(std::string_view line, bool at_beginning) {
  const bool has_mark = at_beginning && line.starts_with(kByteOrderMark);
  return has_mark ? line.substr(kByteOrderMark.size()) : line;
}

absl::StatusOr<bool> CsvReader::Divide(LineReader& lines, std::string_view line) {
  line = WithoutMark(line, lines.line_begin() == 0);
  if (line.empty()) return false;
  // The parser has not seen the line, or not the whole beginning of the file.
  if (!newlines_in_fields_ || lines.line_begin() == 0) {
    parser_.FindEnd(line.data(), 0, line.size());
  }
  const char* const error = parser_.Finish(line);
  header_failed_ = error != nullptr && wants_header_;
  if (error != nullptr) return absl::InvalidArgumentError(error);
  if (wants_header_) {
    header_begin_ = lines.line_begin();
    HEADWAY_RETURN_IF_ERROR(TakeHeader());
    return false;
  }
  if (lines.line_begin() == header_begin_) return false;
  if (parser_.fields().size() != columns_->size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the row has %d fields, but there are %d columns", parser_.fields().size(),
                        columns_->size()));
  }
  return true;
}

absl::Status CsvReader::TakeHeader() {
  std::vector<std::string> names;
  std::string buffer;
  for (const CsvSlice& field : parser_.fields()) names.emplace_back(parser_.TextOf(field, buffer));
  columns_ = std::make_shared<const std::vector<std::string>>(std::move(names));
  wants_header_ = false;
  return absl::OkStatus();
}

absl::StatusOr<size_t> CsvReader::FindColumn(std::string_view name) const {
  const auto at = std::find(columns_->begin(), columns_->end(), name);
  const bool is_there = at != columns_->end();
  if (is_there && std::find(at + 1, columns_->end(), name) == columns_->end()) {
    return static_cast<size_t>(at - columns_->begin());
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "there %s '%s', only '%s'; rename the columns or the members of HEADWAY_COLUMNS",
      is_there ? "are several columns" : "is no column", name, absl::StrJoin(*columns_, "', '")));
}

}  // namespace headway::internal
