#ifndef HEADWAY_ENGINE_FAILURE_ORIGIN_H_
#define HEADWAY_ENGINE_FAILURE_ORIGIN_H_

#include "absl/status/status.h"
#include "absl/strings/cord.h"

// Where the failure of a process comes from. One that says that another process was lost, or that
// another process said so, may be the consequence of a failure there. Who sees the ends of all
// processes looks for one that is not.

namespace headway::internal {

inline constexpr char kLossPayload[] = "headway/loss";

// Marks the loss of another process.
inline absl::Status MarkLoss(absl::Status status) {
  if (!status.ok()) status.SetPayload(kLossPayload, absl::Cord());
  return status;
}

inline bool IsLoss(const absl::Status& status) {
  return status.GetPayload(kLossPayload).has_value();
}

// Marks what another process has told as a reason to end, which may be a loss or its own.
inline constexpr char kToldPayload[] = "headway/told";
inline absl::Status MarkTold(absl::Status status) {
  if (!status.ok()) status.SetPayload(kToldPayload, absl::Cord());
  return status;
}
inline bool IsTold(const absl::Status& status) {
  return status.GetPayload(kToldPayload).has_value();
}

// For a user, to whom the marks mean nothing.
inline absl::Status WithoutMark(absl::Status status) {
  status.ErasePayload(kLossPayload);
  status.ErasePayload(kToldPayload);
  return status;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_FAILURE_ORIGIN_H_
