#ifndef HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_
#define HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

// Marks secondary failures: "another process is lost", "another process told this one to abort".
// The supervisor of the processes prefers an unmarked failure as the cause.

namespace headway::internal {

// Names of payloads of a status.
inline constexpr char kLossMark[] = "headway/loss";
inline constexpr char kToldMark[] = "headway/told";
inline constexpr char kUnconnectedMark[] = "headway/unconnected";

inline absl::Status Mark(absl::Status status, std::string_view mark) {
  if (!status.ok()) status.SetPayload({mark.data(), mark.size()}, absl::Cord());
  return status;
}
inline bool IsMarked(const absl::Status& status, std::string_view mark) {
  return status.GetPayload({mark.data(), mark.size()}).has_value();
}

// Marks the loss of another process.
inline absl::Status MarkLoss(absl::Status status) { return Mark(std::move(status), kLossMark); }
inline bool IsLoss(const absl::Status& status) { return IsMarked(status, kLossMark); }

// Marks a failure that another process reported with its abort: a loss, or a failure of its own.
inline absl::Status MarkTold(absl::Status status) { return Mark(std::move(status), kToldMark); }
inline bool IsTold(const absl::Status& status) { return IsMarked(status, kToldMark); }

// Marks the failure of a process that was never connected to all others.
inline absl::Status MarkUnconnected(absl::Status status) {
  return Mark(std::move(status), kUnconnectedMark);
}
inline bool IsUnconnected(const absl::Status& status) { return IsMarked(status, kUnconnectedMark); }

// Returns the status as users see it.
inline absl::Status WithoutMark(absl::Status status) {
  status.ErasePayload(kLossMark);
  status.ErasePayload(kToldMark);
  status.ErasePayload(kUnconnectedMark);
  return status;
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_FAILURE_ORIGIN_H_
