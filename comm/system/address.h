#ifndef HEADWAY_COMM_SYSTEM_ADDRESS_H_
#define HEADWAY_COMM_SYSTEM_ADDRESS_H_

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace headway::internal {

// The address at which a process listens, as a user writes it.
struct HostPort {
  std::string host;  // a name or a number; an IPv6 address without its brackets
  uint16_t port = 0;
};

// Parses "host:port" or "[ipv6]:port". InvalidArgument: it is malformed, or the port is not in
// `min_port` to 65535. A server that listens at port 0 gets a free one.
absl::StatusOr<HostPort> ParseAddress(std::string_view address, uint16_t min_port = 1);

// An address of a socket, of any family.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }

  // Returns true for a loopback address.
  bool IsLoopback() const;
  // "10.0.0.1:2101", "[::1]:2101".
  std::string ToString() const;
};

// Returns true if the host is a number, which needs no lookup.
bool IsNumeric(const HostPort& where);

// The IPv4 and IPv6 addresses of a host. The lookup of a name may take minutes. Unavailable: it has
// none, or the lookup failed.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& where);

// The name of a process in messages: "process 2 (host:2103)", or "process 2" without addresses.
std::string DescribeProcess(int process, std::span<const std::string> addresses);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_ADDRESS_H_
