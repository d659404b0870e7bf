#include "comm/codec/stable_key.h"

#include <stdexcept>

namespace headway::internal {

void ThrowUnequalKey() {
  throw std::invalid_argument(
      "a key does not equal itself, so it could never be found again; the operator== of a type "
      "with HeadwayStableHash must be an equivalence, also for NaN");
}

}  // namespace headway::internal
