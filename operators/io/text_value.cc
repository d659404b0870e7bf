#include "operators/io/text_value.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

namespace headway::internal {

std::string ShownText(std::string_view text) {
  constexpr size_t kShown = 60;
  const std::string beginning = absl::CHexEscape(std::string(text.substr(0, kShown)));
  return absl::StrFormat("'%s%s'", beginning, text.size() > kShown ? "..." : "");
}

absl::Status TextValueError(std::string_view column, std::string_view text,
                            std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrFormat("column '%s' has %s, which is not %s", column, ShownText(text), wanted));
}

}  // namespace headway::internal
