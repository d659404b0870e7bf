#ifndef HEADWAY_OPERATORS_IO_HTTP_HEADERS_H_
#define HEADWAY_OPERATORS_IO_HTTP_HEADERS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace headway::internal {

// Headers of a request of HTTP: names and values.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// InvalidArgument: a name is empty, or a name or value is no text of one line. `options` names the
// struct that the user gave them in.
absl::Status CheckHttpHeaders(const std::string& options, const HttpHeaders& headers);

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_IO_HTTP_HEADERS_H_
