#ifndef HEADWAY_ENGINE_GRAPH_TYPE_NAME_H_
#define HEADWAY_ENGINE_GRAPH_TYPE_NAME_H_

#include <string>
#include <string_view>
#include <typeinfo>

namespace headway::internal {

// Returns the name of a type as a C++ programmer writes it, for descriptions and errors:
// "std::pair<std::string, long>". Standard library internals (inline namespaces, default template
// arguments of strings and containers) are left out.
std::string ReadableTypeName(const std::type_info& type);

// The same for the type argument. The name is never freed.
template <class T>
std::string_view TypeName() {
  static const std::string& name = *new std::string(ReadableTypeName(typeid(T)));
  return name;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_TYPE_NAME_H_
