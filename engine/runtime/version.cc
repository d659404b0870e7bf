#include "engine/runtime/version.h"

namespace headway {

const char* Version() { return HEADWAY_VERSION; }

}  // namespace headway
