#include "cli/getter.h"

#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::cli {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }
bool IsNumberPart(char c) { return IsNamePart(c) || c == '.' || c == '+' || c == '-'; }

int HexDigit(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<GetterCall> Parse() {
    GetterCall call;
    const size_t colon = FindGetter();
    call.library = text_.substr(0, colon);
    position_ = call.library.size();
    if (call.library.empty()) return Error("expected the file name of a library");
    if (AtEnd()) return call;
    ++position_;
    call.getter = TakeName();
    if (call.getter.empty()) return Error("expected the name of a getter");
    SkipSpaces();
    if (TakeIf('(')) HEADWAY_RETURN_IF_ERROR(ParseArguments(call.arguments));
    SkipSpaces();
    if (!AtEnd()) return Error("expected nothing more, or the getter's arguments in parentheses");
    return call;
  }

 private:
  // Returns the ':' before the getter, or npos. The path of the library may contain others.
  size_t FindGetter() const {
    for (size_t colon = text_.find(':'); colon != text_.npos; colon = text_.find(':', colon + 1)) {
      size_t end = colon + 1;
      if (end == text_.size() || !IsNameStart(text_[end])) continue;
      while (end < text_.size() && IsNamePart(text_[end])) ++end;
      if (end == text_.size() || text_[end] == '(' || IsSpace(text_[end])) return colon;
    }
    // No getter, or a malformed one. A name has no '.' and no '/'.
    const size_t last = text_.rfind(':');
    return last != text_.npos && text_.find_first_of("./", last) == text_.npos ? last : text_.npos;
  }

  bool AtEnd() const { return position_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[position_]; }
  bool TakeIf(char c) {
    if (AtEnd() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  template <class Predicate>
  std::string_view TakeWhile(Predicate predicate) {
    const size_t begin = position_;
    while (!AtEnd() && predicate(text_[position_])) ++position_;
    return text_.substr(begin, position_ - begin);
  }
  std::string_view TakeName() {
    return IsNameStart(Peek()) ? TakeWhile(IsNamePart) : std::string_view();
  }
  void SkipSpaces() { TakeWhile(IsSpace); }

  // After '('.
  absl::Status ParseArguments(std::vector<Literal>& arguments) {
    SkipSpaces();
    if (TakeIf(')')) return absl::OkStatus();
    while (true) {
      SkipSpaces();
      absl::StatusOr<Literal> literal = ParseLiteral();
      if (!literal.ok()) return literal.status();
      arguments.push_back(*std::move(literal));
      SkipSpaces();
      if (TakeIf(')')) return absl::OkStatus();
      if (!TakeIf(',')) return Error("expected ',' or ')'");
    }
  }

  absl::StatusOr<Literal> ParseLiteral() {
    if (Peek() == '\'' || Peek() == '"') return ParseString();
    if (IsDigit(Peek()) || Peek() == '-' || Peek() == '+' || Peek() == '.') return ParseNumber();
    const size_t begin = position_;
    const std::string_view word = TakeName();
    if (word == "true") return Literal(true);
    if (word == "false") return Literal(false);
    position_ = begin;
    return Error("expected a number, true, false or a string in quotes");
  }

  absl::StatusOr<Literal> ParseNumber() {
    const size_t begin = position_;
    std::string_view digits = TakeWhile(IsNumberPart);
    const bool is_negative = digits.starts_with('-');
    if (is_negative || digits.starts_with('+')) digits.remove_prefix(1);
    const bool is_hex = digits.starts_with("0x") || digits.starts_with("0X");
    if (is_hex) digits.remove_prefix(2);

    uint64_t magnitude = 0;
    const char* end = digits.data() + digits.size();
    const auto whole = std::from_chars(digits.data(), end, magnitude, is_hex ? 16 : 10);
    if (whole.ptr == end && whole.ec != std::errc::invalid_argument) {
      constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      if (whole.ec == std::errc() && magnitude <= kMax + (is_negative ? 1 : 0)) {
        return Literal(static_cast<int64_t>(is_negative ? 0 - magnitude : magnitude));
      }
      position_ = begin;
      return Error("this whole number is not from -9223372036854775808 to 9223372036854775807");
    }
    double number = 0;
    if (!is_hex && (IsDigit(digits.empty() ? '\0' : digits[0]) || digits.starts_with('.'))) {
      const auto real = std::from_chars(digits.data(), end, number);
      if (real.ptr == end && real.ec == std::errc()) {
        return Literal(is_negative ? -number : number);
      }
    }
    position_ = begin;
    return Error("this is not a number");
  }

  absl::StatusOr<Literal> ParseString() {
    const size_t begin = position_;
    const char quote = text_[position_++];
    std::string value;
    while (!AtEnd()) {
      const char c = text_[position_++];
      if (c == quote) return Literal(std::move(value));
      if (c != '\\') {
        value += c;
        continue;
      }
      const std::optional<char> escaped = TakeEscape();
      if (!escaped.has_value()) {
        --position_;
        return Error("unknown escape; there are \\\\ \\' \\\" \\n \\r \\t \\0 and \\xHH");
      }
      value += *escaped;
    }
    position_ = begin;
    return Error("this string has no closing quote");
  }

  // Returns the character of the escape after '\'. Takes nothing if it is unknown.
  std::optional<char> TakeEscape() {
    constexpr std::pair<char, char> kEscapes[] = {
        {'\\', '\\'}, {'\'', '\''}, {'"', '"'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'0', '\0'}};
    for (const auto& [letter, meaning] : kEscapes) {
      if (TakeIf(letter)) return meaning;
    }
    if (Peek() != 'x' || text_.size() - position_ < 3) return std::nullopt;
    const int high = HexDigit(text_[position_ + 1]);
    const int low = HexDigit(text_[position_ + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    position_ += 3;
    return static_cast<char>(high * 16 + low);
  }

  absl::Status Error(std::string_view what) const {
    // Line breaks and tabs would displace the caret; its column counts characters, not bytes.
    std::string line(text_);
    size_t column = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      if (static_cast<unsigned char>(line[i]) < ' ') line[i] = ' ';
      const bool continues = (static_cast<unsigned char>(line[i]) & 0xC0) == 0x80;
      if (i < position_ && !continues) ++column;
    }
    return absl::InvalidArgumentError(
        absl::StrFormat("%s\n  %s\n  %s^", what, line, std::string(column, ' ')));
  }

  const std::string_view text_;
  size_t position_ = 0;
};

}  // namespace

absl::StatusOr<GetterCall> ParseGetterCall(std::string_view text) { return Parser(text).Parse(); }

}  // namespace headway::cli
