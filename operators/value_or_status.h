#ifndef HEADWAY_OPERATORS_VALUE_OR_STATUS_H_
#define HEADWAY_OPERATORS_VALUE_OR_STATUS_H_

#include "absl/status/statusor.h"

namespace headway::internal {

// The value of a function that returns R, or an absl::StatusOr of it.
template <class R>
struct ValueOrStatus {
  static constexpr bool kMayFail = false;
  using Value = R;
};
template <class R>
struct ValueOrStatus<absl::StatusOr<R>> {
  static constexpr bool kMayFail = true;
  using Value = R;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_VALUE_OR_STATUS_H_
