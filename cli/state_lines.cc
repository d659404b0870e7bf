#include "cli/state_lines.h"

#include <charconv>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "comm/codec/codec.h"
#include "comm/wire/printable.h"
#include "engine/runtime/status_macros.h"

namespace headway::cli {
namespace {

bool IsPrintable(std::string_view bytes) {
  return internal::Printable(bytes, std::numeric_limits<size_t>::max()) == bytes;
}

std::string EncodingOf(const std::string& string) {
  const std::vector<std::byte> encoded = EncodeToBytes(string);
  return {reinterpret_cast<const char*>(encoded.data()), encoded.size()};
}

void AppendQuoted(std::string_view text, std::string& line) {
  line += '"';
  for (const char each : text) {
    if (each == '"' || each == '\\') line += '\\';
    line += each;
  }
  line += '"';
}

void AppendField(std::string_view name, std::string_view bytes, std::string& line) {
  line += ",\"";
  line += name;
  line += "\":";
  std::string string;
  if (IsPrintable(bytes)) {
    AppendQuoted(bytes, line);
  } else if (DecodeFromBytes(std::as_bytes(std::span(bytes)), &string) && IsPrintable(string) &&
             EncodingOf(string) == bytes) {
    line += "{\"string\":";
    AppendQuoted(string, line);
    line += '}';
  } else {
    line += "{\"base64\":";
    AppendQuoted(absl::Base64Escape(std::string(bytes)), line);
    line += '}';
  }
}

void AppendUtf8(char32_t character, std::string& text) {
  const auto append = [&text](char32_t byte) { text += static_cast<char>(byte); };
  if (character < 0x80) {
    append(character);
  } else if (character < 0x800) {
    append(0xC0 | character >> 6);
    append(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    append(0xE0 | character >> 12);
    append(0x80 | (character >> 6 & 0x3F));
    append(0x80 | (character & 0x3F));
  } else {
    append(0xF0 | character >> 18);
    append(0x80 | (character >> 12 & 0x3F));
    append(0x80 | (character >> 6 & 0x3F));
    append(0x80 | (character & 0x3F));
  }
}

// Reads a line from left to right. After the first error all functions return false.
class LineParser {
 public:
  explicit LineParser(std::string_view line) : line_(line) {}

  // Reads {"name":value,...} and calls `value(name)`, which reads the value.
  template <class F>
  bool ReadObject(F value) {
    if (!Expect('{')) return false;
    if (Skip('}')) return true;
    do {
      std::string name;
      if (!ReadString(name) || !Expect(':') || !value(name)) return false;
    } while (Skip(','));
    return Expect('}');
  }

  bool ReadString(std::string& text) {
    if (!Expect('"')) return false;
    for (; at_ < line_.size() && line_[at_] != '"'; ++at_) {
      if (line_[at_] != '\\') {
        text += line_[at_];
      } else if (!ReadEscape(text)) {
        return false;
      }
    }
    if (at_ == line_.size()) return Fail("the string has no end");
    ++at_;
    return true;
  }

  // Returns true if `c` is next, and moves behind it.
  bool Skip(char c) {
    SkipSpace();
    if (at_ == line_.size() || line_[at_] != c) return false;
    ++at_;
    return true;
  }

  char Peek() {
    SkipSpace();
    return at_ == line_.size() ? '\0' : line_[at_];
  }

  bool ExpectEnd() {
    SkipSpace();
    return at_ == line_.size() || Fail("the line should end here");
  }

  bool Fail(std::string_view message) {
    if (error_.empty()) error_ = absl::StrFormat("column %d: %s", at_ + 1, message);
    return false;
  }
  absl::Status status() const {
    return error_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(error_);
  }

 private:
  void SkipSpace() {
    while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t' || line_[at_] == '\r')) {
      ++at_;
    }
  }

  bool Expect(char c) { return Skip(c) || Fail(absl::StrFormat("expected '%c'", c)); }

  // Reads an escape whose backslash is at at_, up to its last character.
  bool ReadEscape(std::string& text) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kCharacters = "\"\\/\b\f\n\r\t";
    if (++at_ == line_.size()) return Fail("the string has no end");
    if (line_[at_] != 'u') {
      const size_t which = kNames.find(line_[at_]);
      if (which == std::string_view::npos) return Fail("unknown escape");
      text += kCharacters[which];
      return true;
    }
    char32_t character = 0;
    if (!ReadHex4(character)) return false;
    if (character >= 0xD800 && character < 0xDC00 && line_.substr(at_ + 1).starts_with("\\u")) {
      at_ += 2;
      char32_t low = 0;
      if (!ReadHex4(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return Fail("half of a surrogate pair");
      character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
    } else if (character >= 0xD800 && character < 0xE000) {
      return Fail("half of a surrogate pair");
    }
    AppendUtf8(character, text);
    return true;
  }

  // Reads the four digits behind at_, up to the last one.
  bool ReadHex4(char32_t& value) {
    const std::string_view digits = line_.substr(at_ + 1, 4);
    uint32_t number = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (digits.size() < 4 || error != std::errc() || end != digits.data() + 4) {
      return Fail("expected four hexadecimal digits");
    }
    value = number;
    at_ += 4;
    return true;
  }

  std::string_view line_;
  size_t at_ = 0;
  std::string error_;
};

bool ReadHash(LineParser& parser, uint64_t& hash) {
  std::string digits;
  if (!parser.ReadString(digits)) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  if (digits.size() != 16 || error != std::errc() || end != digits.data() + digits.size()) {
    return parser.Fail("the hash must have 16 hexadecimal digits");
  }
  return true;
}

bool ReadBytes(LineParser& parser, std::string& bytes) {
  if (parser.Peek() != '{') return parser.ReadString(bytes);
  bool is_read = false;
  const bool ok = parser.ReadObject([&](const std::string& form) {
    if (is_read) return parser.Fail("a value has one form");
    is_read = true;
    std::string text;
    if (!parser.ReadString(text)) return false;
    if (form == "string") {
      bytes = EncodingOf(text);
      return true;
    }
    if (form != "base64") {
      return parser.Fail(
          absl::StrFormat("unknown form '%s'; the forms are 'string' and 'base64'", form));
    }
    return absl::Base64Unescape(text, &bytes) || parser.Fail("malformed base64");
  });
  return ok && (is_read || parser.Fail("a value needs a form, such as {\"base64\":\"\"}"));
}

}  // namespace

std::string LineOf(const internal::StateRow& row) {
  std::string line = absl::StrFormat("{\"hash\":\"%016x\"", row.hash);
  AppendField("key", row.key, line);
  if (!row.part.empty()) AppendField("part", row.part, line);
  AppendField("state", *row.state, line);
  line += '}';
  return line;
}

absl::StatusOr<StateLine> ParseStateLine(std::string_view line) {
  LineParser parser(line);
  std::optional<uint64_t> hash;
  std::optional<std::string> key;
  std::optional<std::string> part;
  std::optional<std::string> state;
  const bool ok = parser.ReadObject([&](const std::string& name) {
    const auto is_new = [&](const auto& field) {
      return !field.has_value() || parser.Fail(absl::StrFormat("'%s' is there twice", name));
    };
    if (name == "hash") return is_new(hash) && ReadHash(parser, hash.emplace());
    if (name == "key") return is_new(key) && ReadBytes(parser, key.emplace());
    if (name == "part") return is_new(part) && ReadBytes(parser, part.emplace());
    if (name == "state") return is_new(state) && ReadBytes(parser, state.emplace());
    return parser.Fail(absl::StrFormat("unknown name '%s'", name));
  });
  if (ok && parser.ExpectEnd() && !(hash && key && state)) {
    parser.Fail("'hash', 'key' or 'state' is missing");
  }
  HEADWAY_RETURN_IF_ERROR(parser.status());
  return StateLine{*hash, *std::move(key), std::move(part).value_or(""), *std::move(state)};
}

}  // namespace headway::cli
