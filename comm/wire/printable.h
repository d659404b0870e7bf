#ifndef HEADWAY_COMM_WIRE_PRINTABLE_H_
#define HEADWAY_COMM_WIRE_PRINTABLE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace headway::internal {

// Returns text of another process as one line that is safe to print. Control characters, those of
// U+0080 to U+009F included, and bytes that are not UTF-8 become escapes such as \x1b. The
// result has at most `max_bytes`; if it is cut, it ends with "...".
std::string Printable(std::string_view text, size_t max_bytes = 1024);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_WIRE_PRINTABLE_H_
