#ifndef HEADWAY_ENGINE_RUNTIME_STATUS_MACROS_H_
#define HEADWAY_ENGINE_RUNTIME_STATUS_MACROS_H_

#include "absl/status/status.h"

// Returns from the function if the expression is a status that is not OK.
#define HEADWAY_RETURN_IF_ERROR(expression)                                   \
  do {                                                                        \
    if (::absl::Status headway_status = (expression); !headway_status.ok()) { \
      return headway_status;                                                  \
    }                                                                         \
  } while (false)

#endif  // HEADWAY_ENGINE_RUNTIME_STATUS_MACROS_H_
