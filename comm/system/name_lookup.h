#ifndef HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_
#define HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/system/address.h"

namespace headway::internal {

// Finds out the addresses of a host on a thread of its own, since the system may take far longer
// than anybody wants to wait, and cannot be asked to stop: a thread that is not waited for goes on
// by itself, and ends when the system has answered.
//
// Thread safety: none.
class NameLookup {
 public:
  using Addresses = absl::StatusOr<std::vector<SocketAddress>>;

  // Begins. The host of a number is known at once, without a thread.
  explicit NameLookup(const HostPort& where);
  NameLookup(NameLookup&&) noexcept = default;
  NameLookup& operator=(NameLookup&&) noexcept = default;

  // What was found (see Resolve), once it was, and just once; waits for it up to `timeout`.
  std::optional<Addresses> WaitFor(std::chrono::milliseconds timeout);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_
