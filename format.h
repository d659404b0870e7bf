#ifndef HEADWAY_FORMAT_H_
#define HEADWAY_FORMAT_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_format.h"

namespace headway::internal {

// absl::StrFormat for text that is made in every run, or when memory runs out. absl::StrFormat
// allocates in a destructor, so a lack of memory there ends the program. This throws
// std::bad_alloc instead.
template <class... Args>
std::string Format(const absl::FormatSpec<Args...>& format, const Args&... args) {
  char text[256];
  const int size = absl::SNPrintF(text, sizeof(text), format, args...);
  if (size < 0) return {};
  const auto bytes = static_cast<size_t>(size);
  if (bytes < sizeof(text)) return std::string(text, bytes);
  std::string longer(bytes, '\0');
  absl::SNPrintF(longer.data(), bytes + 1, format, args...);
  return longer;
}

}  // namespace headway::internal

#endif  // HEADWAY_FORMAT_H_
