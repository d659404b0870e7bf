#include "engine/runtime/concat.h"

namespace headway::internal {

std::string Concat(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (std::string_view part : parts) text.append(part);
  return text;
}

}  // namespace headway::internal
