#ifndef HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_
#define HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/system/address.h"

namespace headway::internal {

// Looks up the addresses of a host on a thread of its own, because the system may take minutes and
// offers no way to stop it. An abandoned thread ends when the system has answered.
//
// Thread safety: none.
class NameLookup {
 public:
  using Addresses = absl::StatusOr<std::vector<SocketAddress>>;

  // Starts the lookup. A numeric host is resolved at once, without a thread.
  explicit NameLookup(const HostPort& where);
  NameLookup(NameLookup&&) noexcept = default;
  NameLookup& operator=(NameLookup&&) noexcept = default;

  // The result of Resolve, once it is known, and only once. Waits for it up to `timeout`.
  std::optional<Addresses> WaitFor(std::chrono::milliseconds timeout);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_NAME_LOOKUP_H_
