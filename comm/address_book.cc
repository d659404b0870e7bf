#include "headway/comm/address_book.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {

absl::Status AddressBook::Check(int process_count) {
  if (addresses_.size() != static_cast<size_t>(process_count)) {
    return absl::InvalidArgumentError(absl::StrFormat("%d addresses were given for %d processes",
                                                      addresses_.size(), process_count));
  }
  for (size_t process = 0; process < addresses_.size(); ++process) {
    absl::StatusOr<HostPort> host = ParseAddress(addresses_[process]);
    if (!host.ok()) return host.status();
    hosts_.push_back(*std::move(host));
    for (size_t other = 0; other < process; ++other) {
      if (addresses_[other] == addresses_[process]) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "processes %d and %d have the same address, %s", other, process, addresses_[process]));
      }
    }
  }
  if (remote_allowed_) return absl::OkStatus();
  for (int process = 0; process < process_count; ++process) {
    const auto resolved = Resolve(process);
    // A host that is not known yet is looked at again when it is dialed.
    if (!resolved.ok() && absl::IsInvalidArgument(resolved.status())) return resolved.status();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SocketAddress>> AddressBook::Resolve(int process) const {
  absl::StatusOr<std::vector<SocketAddress>> resolved =
      internal::Resolve(hosts_[static_cast<size_t>(process)]);
  if (!resolved.ok()) return resolved;
  for (const SocketAddress& address : *resolved) {
    if (!Allows(address)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s is not at a loopback address, and the cluster has no secret: give all processes the "
          "same secret, or say that the cluster is insecure",
          Name(process)));
    }
  }
  return resolved;
}

}  // namespace headway::internal
