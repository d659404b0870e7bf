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

// Where the processes of a cluster are, and whether they may be there: a cluster that has neither a
// secret nor says that it is insecure stays within its machine.
class AddressBook {
 public:
  // `addresses` has one for each process, or none at all if the caller has connected sockets; it
  // outlives this.
  AddressBook(const MeshOptions& options, std::span<const std::string> addresses)
      : remote_allowed_(!options.secret.empty() || options.insecure), addresses_(addresses) {}

  // InvalidArgument: an address is malformed or given twice, or may not be used, as far as is known
  // within `patience`, and a second. To be called before what follows.
  absl::Status Check(int process_count,
                     std::chrono::milliseconds patience = std::chrono::milliseconds::max());

  // The addresses of a process; none while they are looked for, after waiting up to `timeout`.
  // Whoever gets them and asks again has them looked for again. InvalidArgument: one may not be
  // used. Unavailable: they are not known now.
  using Addresses = NameLookup::Addresses;
  std::optional<Addresses> Find(int process,
                                std::chrono::milliseconds timeout = std::chrono::milliseconds(0));

  // Whether a process may be at an address.
  bool Allows(const SocketAddress& address) const {
    return remote_allowed_ || address.IsLoopback();
  }

  // How messages name a process.
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
