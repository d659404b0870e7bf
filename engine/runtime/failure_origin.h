#ifndef HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_
#define HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

// Where the failure of a process comes from. One that says that another process was lost, or that
// another process said so, may be the consequence of a failure there. Who sees the ends of all
// processes looks for one that is not.

namespace headway::internal {

// Names of payloads of a status.
inline constexpr char kLossMark[] = "headway/loss";
inline constexpr char kToldMark[] = "headway/told";

inline absl::Status Mark(absl::Status status, std::string_view mark) {
  if (!status.ok()) status.SetPayload({mark.data(), mark.size()}, absl::Cord());
  return status;
}
inline bool IsMarked(const absl::Status& status, std::string_view mark) {
  return status.GetPayload({mark.data(), mark.size()}).has_value();
}

// The loss of another process.
inline absl::Status MarkLoss(absl::Status status) { return Mark(std::move(status), kLossMark); }
inline bool IsLoss(const absl::Status& status) { return IsMarked(status, kLossMark); }

// What another process has told as a reason to end: a loss, or a failure of its own.
inline absl::Status MarkTold(absl::Status status) { return Mark(std::move(status), kToldMark); }
inline bool IsTold(const absl::Status& status) { return IsMarked(status, kToldMark); }

// For a user, to whom the marks mean nothing.
inline absl::Status WithoutMark(absl::Status status) {
  status.ErasePayload(kLossMark);
  status.ErasePayload(kToldMark);
  return status;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_
