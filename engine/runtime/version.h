#ifndef HEADWAY_ENGINE_RUNTIME_VERSION_H_
#define HEADWAY_ENGINE_RUNTIME_VERSION_H_

namespace headway {

// The version of the library that a program is linked with, such as "0.1.0".
const char* Version();

}  // namespace headway

#endif  // HEADWAY_ENGINE_RUNTIME_VERSION_H_
