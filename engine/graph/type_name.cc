#include "engine/graph/type_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_replace.h"

namespace headway::internal {
namespace {

// Removes each `start`...matching '>' from `name`: a default template argument such as
// ", std::allocator<...>".
void RemoveArguments(std::string& name, std::string_view start) {
  for (size_t at = name.find(start); at != std::string::npos; at = name.find(start, at)) {
    size_t end = at + start.size();
    for (int depth = 1; depth > 0 && end < name.size(); ++end) {
      depth += name[end] == '<' ? 1 : name[end] == '>' ? -1 : 0;
    }
    name.erase(at, end - at);
  }
}

}  // namespace

std::string ReadableTypeName(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  if (demangled == nullptr) return type.name();
  std::string name = absl::StrReplaceAll(demangled.get(), {{"std::__cxx11::", "std::"}});
  for (std::string_view argument : {", std::allocator<", ", std::char_traits<", ", std::less<",
                                    ", std::hash<", ", std::equal_to<"}) {
    RemoveArguments(name, argument);
  }
  return absl::StrReplaceAll(name, {{"std::basic_string<char >", "std::string"},
                                    {"std::basic_string<char>", "std::string"},
                                    {"std::basic_string_view<char >", "std::string_view"},
                                    {"std::basic_string_view<char>", "std::string_view"},
                                    {" >", ">"}});
}

}  // namespace headway::internal
