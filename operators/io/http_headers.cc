#include "operators/io/http_headers.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace headway::internal {
namespace {

bool IsHeaderText(const std::string& text) {
  return std::ranges::none_of(text, [](char c) { return absl::ascii_iscntrl(c); });
}

}  // namespace

absl::Status CheckHttpHeaders(const std::string& options, const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    if (!name.empty() && IsHeaderText(name) && IsHeaderText(value)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(options, ": the header '", absl::CHexEscape(name),
                     "' is empty or has a control character in its name or value"));
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
