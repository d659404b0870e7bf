#ifndef HEADWAY_COMM_MESH_DIALER_H_
#define HEADWAY_COMM_MESH_DIALER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/mesh/address_book.h"
#include "comm/mesh/news_limit.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// Schedules the attempts to dial one process that may not have started yet: all its addresses in
// turn, and again after a pause. The pauses double, up to half a second.
//
// Times are the loop's milliseconds. Thread safety: none.
class Dialer {
 public:
  // `book` outlives the dialer.
  Dialer(AddressBook& book, int process) : book_(book), process_(process) {}

  // The time of the next attempt; forever if one is under way or no more are needed.
  int64_t due_ms() const { return due_ms_; }

  // Starts an attempt. While the lookup of the host is under way the descriptor is not open, and
  // the dialer is due again soon. Unavailable: the attempt failed; call Failed. Other errors:
  // permanent.
  absl::StatusOr<FileDescriptor> Dial(int64_t now_ms);

  // Schedules the next attempt. Returns true if the failure should be logged: the reason changed,
  // and the rate limit allows it (the peer can influence the text).
  bool Failed(const absl::Status& status, int64_t now_ms);

  // The reason of the last failure; empty before any.
  const std::string& last_error() const { return last_error_; }

 private:
  AddressBook& book_;
  const int process_;
  std::vector<SocketAddress> addresses_;
  size_t next_address_ = 0;
  int64_t due_ms_ = 0;
  int64_t pause_ms_ = 0;
  std::string last_error_;
  NewsLimit news_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_DIALER_H_
