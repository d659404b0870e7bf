#include "comm/mesh/address_book.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace headway::internal {

absl::Status AddressBook::Check(int process_count, std::chrono::milliseconds patience) {
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
  lookups_.resize(hosts_.size());
  return remote_allowed_ ? absl::OkStatus() : CheckAllAllowed(patience);
}

absl::Status AddressBook::CheckAllAllowed(std::chrono::milliseconds patience) {
  for (size_t process = 0; process < hosts_.size(); ++process) {
    lookups_[process].emplace(hosts_[process]);  // all at the same time
  }
  constexpr std::chrono::milliseconds kMaxPatience(1'000);
  const auto until = std::chrono::steady_clock::now() + std::min(patience, kMaxPatience);
  for (size_t process = 0; process < hosts_.size(); ++process) {
    const auto left = until - std::chrono::steady_clock::now();
    // A host that is not known by then is looked at when it is dialed, or dials.
    const std::optional<Addresses> found =
        Find(static_cast<int>(process), std::chrono::ceil<std::chrono::milliseconds>(left));
    if (found.has_value() && absl::IsInvalidArgument(found->status())) return found->status();
  }
  return absl::OkStatus();
}

std::optional<AddressBook::Addresses> AddressBook::Find(int process,
                                                        std::chrono::milliseconds timeout) {
  std::optional<NameLookup>& lookup = lookups_[static_cast<size_t>(process)];
  if (!lookup.has_value()) lookup.emplace(hosts_[static_cast<size_t>(process)]);
  std::optional<Addresses> found = lookup->WaitFor(timeout);
  if (!found.has_value()) return std::nullopt;
  lookup.reset();
  if (found->ok()) {
    if (absl::Status status = CheckAllowed(process, **found); !status.ok()) return status;
  }
  return found;
}

absl::Status AddressBook::CheckAllowed(int process, const std::vector<SocketAddress>& found) const {
  for (const SocketAddress& address : found) {
    if (!Allows(address)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s is not at a loopback address, and the cluster has no secret: give all processes the "
          "same secret, or say that the cluster is insecure",
          Name(process)));
    }
  }
  return absl::OkStatus();
}

}  // namespace headway::internal
