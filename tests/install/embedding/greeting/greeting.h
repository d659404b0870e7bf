#ifndef GREETING_GREETING_H_
#define GREETING_GREETING_H_

#include <string>

#include "engine/runtime/config.h"

namespace greeting {

// An installed copy of this header finds those of Headway below headway/.
std::string Greeting(const headway::RunOptions& options = {});

}  // namespace greeting

#endif  // GREETING_GREETING_H_
