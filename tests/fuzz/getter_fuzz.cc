// Any text is read as a getter, or refused with the position of the error. A getter can be written
// and read again.
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "check.h"
#include "cli/getter.h"
#include "tests/fuzz/fuzz_target.h"

namespace headway::cli {
namespace {

// As ParseGetterCall reads it. Floating-point numbers are left out: they have many spellings.
bool Write(const GetterCall& call, std::string& text) {
  text = call.library + ":" + call.getter + "(";
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (i > 0) text += ", ";
    const Literal& literal = call.arguments[i];
    if (std::holds_alternative<double>(literal)) return false;
    if (const auto* integer = std::get_if<int64_t>(&literal)) {
      text += std::to_string(*integer);
    } else if (const auto* truth = std::get_if<bool>(&literal)) {
      text += *truth ? "true" : "false";
    } else {
      text += '\'';
      for (const char c : std::get<std::string>(literal)) {
        constexpr char kHex[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
      text += '\'';
    }
  }
  text += ")";
  return true;
}

void Check(std::string_view text) {
  const absl::StatusOr<GetterCall> call = ParseGetterCall(text);
  if (!call.ok()) {
    HEADWAY_CHECK(std::string(call.status().message()).ends_with("^"));
    return;
  }
  std::string written;
  if (!Write(*call, written)) return;
  const absl::StatusOr<GetterCall> again = ParseGetterCall(written);
  HEADWAY_CHECK(again.ok());
  HEADWAY_CHECK(again->library == call->library);
  HEADWAY_CHECK(again->getter == call->getter);
  HEADWAY_CHECK(again->arguments == call->arguments);
}

}  // namespace
}  // namespace headway::cli

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  headway::cli::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
