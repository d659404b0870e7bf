#ifndef HEADWAY_ENGINE_RUNTIME_CONCAT_H_
#define HEADWAY_ENGINE_RUNTIME_CONCAT_H_

#include <initializer_list>
#include <string>
#include <string_view>

namespace headway::internal {

// Returns the parts in one string. For the messages of templates: the headers of absl::StrFormat
// would cost each user's program a tenth of its time to compile.
std::string Concat(std::initializer_list<std::string_view> parts);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_CONCAT_H_
