#include "headway/engine/version.h"

namespace headway {

const char* Version() { return HEADWAY_VERSION; }

}  // namespace headway
