#ifndef HEADWAY_COMM_MESH_DIALER_H_
#define HEADWAY_COMM_MESH_DIALER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/mesh/address_book.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {

// When and where to dial one process that may not have started yet: all its addresses in turn, and
// then again after a while. The pauses double, up to half a second.
//
// Times are the loop's milliseconds. Thread safety: none.
class Dialer {
 public:
  // `book` outlives this.
  Dialer(AddressBook& book, int process) : book_(book), process_(process) {}

  // When to dial next; forever, if an attempt is under way or no more is needed.
  int64_t due_ms() const { return due_ms_; }

  // Starts an attempt, unless the host is still being looked for; then the descriptor is not open,
  // and it is due again soon. Unavailable: it failed, tell Failed so. Other errors: it makes no
  // sense to try again.
  absl::StatusOr<FileDescriptor> Dial(int64_t now_ms);

  // The attempt has failed; there is another one later. Returns whether this is news: another
  // reason than that of the last news, and not soon after them, since a reason may hold what the
  // other end makes up.
  bool Failed(const absl::Status& status, int64_t now_ms);

  // Why the last attempt failed; empty if none has.
  const std::string& last_error() const { return last_error_; }

 private:
  AddressBook& book_;
  const int process_;
  std::vector<SocketAddress> addresses_;
  size_t next_address_ = 0;
  int64_t due_ms_ = 0;
  int64_t pause_ms_ = 0;
  std::string last_error_;
  std::string last_news_;
  int64_t news_due_ms_ = 0;
  int64_t news_pause_ms_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_DIALER_H_
