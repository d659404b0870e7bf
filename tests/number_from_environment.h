#ifndef HEADWAY_TESTS_NUMBER_FROM_ENVIRONMENT_H_
#define HEADWAY_TESTS_NUMBER_FROM_ENVIRONMENT_H_

#include <cstdint>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "check.h"

namespace headway {

// A variable of the environment as a number: it makes a test longer than it is in CI.
inline int64_t NumberFromEnvironment(const char* variable, int64_t otherwise) {
  const char* const text = std::getenv(variable);
  int64_t number = otherwise;
  if (text != nullptr) HEADWAY_CHECK(absl::SimpleAtoi(text, &number));
  return number;
}

}  // namespace headway

#endif  // HEADWAY_TESTS_NUMBER_FROM_ENVIRONMENT_H_
