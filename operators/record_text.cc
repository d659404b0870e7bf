#include "operators/record_text.h"

#include <charconv>

namespace headway::internal {
namespace {

template <class Number>
void AppendShortest(std::string& out, Number value) {
  char text[64];  // a long double of 128 bits needs 44
  const std::to_chars_result result = std::to_chars(text, text + sizeof(text), value);
  out.append(text, result.ptr);
}

template <class Float>
void AppendFloat(std::string& out, Float value) {
  // The sign of a NaN has no meaning, and differs between processors.
  if (value != value) {
    out.append("nan");
  } else {
    AppendShortest(out, value);
  }
}

}  // namespace

void AppendNumber(std::string& out, int64_t value) { AppendShortest(out, value); }
void AppendNumber(std::string& out, uint64_t value) { AppendShortest(out, value); }
void AppendNumber(std::string& out, float value) { AppendFloat(out, value); }
void AppendNumber(std::string& out, double value) { AppendFloat(out, value); }
void AppendNumber(std::string& out, long double value) { AppendFloat(out, value); }

}  // namespace headway::internal
