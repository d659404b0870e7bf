#include "operators/io/csv_row.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "check.h"

namespace headway {

CsvRow::CsvRow(Columns columns, const std::vector<std::string>& fields)
    : columns_(std::move(columns)) {
  HEADWAY_CHECK(columns_->size() == fields.size());
  for (const std::string& field : fields) {
    const auto begin = static_cast<uint32_t>(text_.size());
    text_ += field;
    fields_.push_back({begin, static_cast<uint32_t>(text_.size()), false});
  }
}

CsvField CsvRow::operator[](size_t index) const {
  if (index >= size()) {
    throw std::out_of_range(
        absl::StrCat("a CSV row has no column ", index, ": it has ", size(), ", from 0 on"));
  }
  return {(*columns_)[index], TextOf(index)};
}

CsvField CsvRow::operator[](std::string_view column) const {
  const auto at = std::find(columns_->begin(), columns_->end(), column);
  if (at == columns_->end() || std::find(at + 1, columns_->end(), column) != columns_->end()) {
    throw std::out_of_range(absl::StrFormat("a CSV row has %s columns '%s': it has '%s'",
                                            at == columns_->end() ? "no" : "several", column,
                                            absl::StrJoin(*columns_, "', '")));
  }
  return {*at, TextOf(static_cast<size_t>(at - columns_->begin()))};
}

std::string_view CsvRow::TextOf(size_t index) const {
  const internal::CsvSlice& field = fields_[index];
  return std::string_view(text_).substr(field.begin, field.end - field.begin);
}

void CsvRow::Assign(const Columns& columns, const internal::CsvParser& row) {
  if (columns_ != columns) columns_ = columns;
  fields_.assign(row.fields().begin(), row.fields().end());
  const bool has_escapes =
      std::any_of(fields_.begin(), fields_.end(),
                  [](const internal::CsvSlice& field) { return field.has_escapes; });
  if (!has_escapes) {
    text_.assign(row.row());
    return;
  }
  text_.clear();
  std::string buffer;
  for (internal::CsvSlice& field : fields_) {
    const auto begin = static_cast<uint32_t>(text_.size());
    text_ += row.TextOf(field, buffer);
    field = {begin, static_cast<uint32_t>(text_.size()), false};
  }
}

std::string ToString(const CsvRow& row) {
  std::string line;
  for (size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line.push_back(',');
    internal::AppendCsvField(line, row[i].text(), ',');
  }
  return line;
}

void Codec<CsvRow>::Encode(const CsvRow& row, Encoder& encoder) {
  Codec<std::vector<std::string>>::Encode(row.columns(), encoder);
  for (size_t i = 0; i < row.size(); ++i) Codec<std::string_view>::Encode(row[i].text(), encoder);
}

bool Codec<CsvRow>::Decode(Decoder& decoder, CsvRow* row) {
  // The rows of a batch most often have the same columns.
  static thread_local CsvRow::Columns last = std::make_shared<const std::vector<std::string>>();
  std::vector<std::string> columns;
  if (!Codec<std::vector<std::string>>::Decode(decoder, &columns)) return false;
  if (columns != *last) last = std::make_shared<const std::vector<std::string>>(std::move(columns));
  std::vector<std::string> fields(last->size());
  for (std::string& field : fields) {
    if (!Codec<std::string>::Decode(decoder, &field)) return false;
  }
  *row = CsvRow(last, fields);
  return true;
}

}  // namespace headway
