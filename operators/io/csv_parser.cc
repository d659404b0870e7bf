#include "operators/io/csv_parser.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/runtime/concat.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace headway::internal {
namespace {

constexpr char kBareQuote[] =
    "a field without quotes has a quote in it; put the field in quotes, and double the quotes in "
    "it";
constexpr char kBehindQuote[] =
    "there is text behind the closing quote of a field; double the quotes in a field";
constexpr char kBareReturn[] =
    "it has a carriage return that no line feed follows; end rows with \\n or \\r\\n";
constexpr char kNul[] = "it has a NUL byte; CSV is text";
constexpr char kOpenQuote[] = "the quotes of its last field are not closed";

// Returns the first position from `at` on whose byte is one of `wanted`, or `size`.
template <size_t count>
size_t FindAny(const char* bytes, size_t at, size_t size, const char (&wanted)[count]) {
#if defined(__SSE2__)
  for (; at < size; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + at));
    __m128i found = _mm_cmpeq_epi8(block, _mm_set1_epi8(wanted[0]));
    for (size_t i = 1; i < count; ++i) {
      found = _mm_or_si128(found, _mm_cmpeq_epi8(block, _mm_set1_epi8(wanted[i])));
    }
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (size - at < 16) mask &= (1U << (size - at)) - 1;
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(mask));
  }
  return size;
#else
  return static_cast<size_t>(std::find_first_of(bytes + at, bytes + size, wanted, wanted + count) -
                             bytes);
#endif
}

}  // namespace

void CsvParser::Begin() {
  state_ = State::kFieldStart;
  at_ = 0;
  fields_.clear();
  error_ = nullptr;
}

size_t CsvParser::FindSpecial(const char* bytes, size_t at, size_t size) const {
  return FindAny(bytes, at, size, {delimiter_, '\n', '"', '\r', '\0'});
}

const char* CsvParser::FindEnd(const char* bytes, size_t searched, size_t size) {
  if (searched == 0) Begin();
  while (at_ < size) {
    switch (state_) {
      case State::kFieldStart: {
        const bool has_quotes = bytes[at_] == '"';
        at_ += has_quotes ? 1 : 0;
        field_ = {.begin = static_cast<uint32_t>(at_)};
        state_ = has_quotes ? State::kQuoted : State::kPlain;
        break;
      }
      case State::kPlain:
        at_ = FindSpecial(bytes, at_, size);
        if (at_ == size) return nullptr;
        if (bytes[at_] == '\n') return bytes + at_;
        if (!ContinuePlain(bytes, size)) return nullptr;
        break;
      case State::kQuoted:
        at_ = FindAny(bytes, at_, size, {'"', '\0'});
        if (at_ == size) return nullptr;
        if (bytes[at_] == '\0') {
          Fail(kNul);
        } else {
          field_.end = static_cast<uint32_t>(at_++);
          state_ = State::kQuoteSeen;
        }
        break;
      case State::kQuoteSeen:
        if (bytes[at_] == '\n') return bytes + at_;
        if (!ContinueBehindQuote(bytes, size)) return nullptr;
        break;
      case State::kMalformed: {
        const void* const end = std::memchr(bytes + at_, '\n', size - at_);
        at_ = end == nullptr ? size : static_cast<size_t>(static_cast<const char*>(end) - bytes);
        return static_cast<const char*>(end);
      }
    }
  }
  return nullptr;
}

bool CsvParser::ContinuePlain(const char* bytes, size_t size) {
  const char special = bytes[at_];
  if (special == delimiter_) {
    EndField(at_++);
  } else if (special == '\r') {
    return PassCarriageReturn(bytes, size);
  } else {
    Fail(special == '"' ? kBareQuote : kNul);
  }
  return true;
}

bool CsvParser::ContinueBehindQuote(const char* bytes, size_t size) {
  const char next = bytes[at_];
  if (next == delimiter_) {
    EndField(field_.end);
    ++at_;
  } else if (next == '"') {
    field_.has_escapes = true;
    state_ = State::kQuoted;
    ++at_;
  } else if (next == '\r') {
    return PassCarriageReturn(bytes, size);
  } else {
    Fail(next == '\0' ? kNul : kBehindQuote);
  }
  return true;
}

bool CsvParser::PassCarriageReturn(const char* bytes, size_t size) {
  if (at_ + 1 == size) return false;
  if (bytes[at_ + 1] == '\n') {
    ++at_;
  } else {
    Fail(kBareReturn);
  }
  return true;
}

const char* CsvParser::Finish(std::string_view row) {
  row_ = row;
  switch (state_) {
    case State::kFieldStart:
      field_ = {.begin = static_cast<uint32_t>(row.size())};
      EndField(row.size());
      break;
    case State::kPlain:
      if (at_ < row.size()) return kBareReturn;
      EndField(row.size());
      break;
    case State::kQuoted:
      return kOpenQuote;
    case State::kQuoteSeen:
      if (at_ < row.size()) return kBareReturn;
      EndField(field_.end);
      break;
    case State::kMalformed:
      return error_;
  }
  return nullptr;
}

std::string_view CsvParser::TextOf(const CsvSlice& field, std::string& buffer) const {
  const std::string_view text = row_.substr(field.begin, field.end - field.begin);
  if (!field.has_escapes) return text;
  buffer.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    buffer.push_back(text[i]);
    if (text[i] == '"') ++i;
  }
  return buffer;
}

absl::Status CheckCsvDelimiter(char delimiter, std::string_view option) {
  if (std::string_view("\"\n\r\0", 4).find(delimiter) == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(Concat(
      {option, " must not be a quote, a line end or NUL; use a comma, a semicolon or a tab"}));
}

void AppendCsvField(std::string& row, std::string_view text, char delimiter) {
  const bool needs_quotes = std::any_of(text.begin(), text.end(), [delimiter](char c) {
    return c == delimiter || c == '\n' || c == '"' || c == '\r';
  });
  if (!needs_quotes) {
    row.append(text);
    return;
  }
  row.push_back('"');
  for (const char c : text) {
    row.push_back(c);
    if (c == '"') row.push_back(c);
  }
  row.push_back('"');
}

}  // namespace headway::internal
