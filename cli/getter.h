#ifndef HEADWAY_CLI_GETTER_H_
#define HEADWAY_CLI_GETTER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace headway::cli {

using Literal = std::variant<int64_t, double, bool, std::string>;

// The call of a getter in a library: "libwords.so:Words('words.txt', 3)".
struct GetterCall {
  std::string library;  // file name
  std::string getter = "flow";
  std::vector<Literal> arguments = {};
};

// Parses <library>[:<getter>[(<literal>, ...)]]. The library's name ends at the first ':' that a
// name follows, alone or with its arguments: the ':' in "a:b/libwords.so" belongs to the path. A
// literal is a whole number (42, -1, 0x2a), a floating-point number (1.5, 1e-3), true, false, or a
// string in single or double quotes with the escapes \\ \' \" \n \r \t \0 \xHH. InvalidArgument
// shows the text with a caret below the error.
absl::StatusOr<GetterCall> ParseGetterCall(std::string_view text);

}  // namespace headway::cli

#endif  // HEADWAY_CLI_GETTER_H_
