#ifndef HEADWAY_COMM_MESH_ADDRESS_BOOK_H_
#define HEADWAY_COMM_MESH_ADDRESS_BOOK_H_

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/name_lookup.h"
#include "comm/wire/mesh_options.h"

namespace headway::internal {

// The addresses of the processes of a cluster, and the rule that restricts them: a cluster without
// a secret stays on its machine, unless it is insecure on purpose.
class AddressBook {
 public:
  // `addresses` has one entry for each process, or none if the caller has connected sockets. It
  // outlives the book.
  AddressBook(const MeshOptions& options, std::span<const std::string> addresses)
      : remote_allowed_(!options.secret.empty() || options.insecure), addresses_(addresses) {}

  // InvalidArgument: an address is malformed, repeated or not allowed, as far as lookups finish
  // within `patience`. Takes up to a second more. REQUIRES: before the methods below.
  absl::Status Check(int process_count,
                     std::chrono::milliseconds patience = std::chrono::milliseconds::max());

  // The addresses of a process; none while the lookup is under way, after waiting up to `timeout`.
  // The next call starts a new lookup. InvalidArgument: an address is not allowed. Unavailable: the
  // lookup failed.
  using Addresses = NameLookup::Addresses;
  std::optional<Addresses> Find(int process,
                                std::chrono::milliseconds timeout = std::chrono::milliseconds(0));

  // Returns OK if a process may be at an address.
  bool Allows(const SocketAddress& address) const {
    return remote_allowed_ || address.IsLoopback();
  }

  // Returns true if the address of a process is a name, whose meaning may change, and not a number.
  // REQUIRES: Check returned OK.
  bool IsNamed(int process) const { return !IsNumeric(hosts_[static_cast<size_t>(process)]); }

  // The name of a process in messages.
  std::string Name(int process) const { return DescribeProcess(process, addresses_); }
  std::span<const std::string> addresses() const { return addresses_; }

 private:
  absl::Status CheckAllAllowed(std::chrono::milliseconds patience);
  absl::Status CheckAllowed(int process, const std::vector<SocketAddress>& found) const;

  const bool remote_allowed_;
  const std::span<const std::string> addresses_;
  std::vector<HostPort> hosts_;                     // of the processes
  std::vector<std::optional<NameLookup>> lookups_;  // under way, of the processes
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_ADDRESS_BOOK_H_
