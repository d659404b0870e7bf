#include "comm/system/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "format.h"

namespace headway::internal {

absl::StatusOr<HostPort> ParseAddress(std::string_view address, uint16_t min_port) {
  const auto malformed = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        Format("address '%s' %s: write host:port or [ipv6]:port", address, what));
  };
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return malformed("has no port");
  std::string_view host = address.substr(0, colon);
  const std::string_view digits = address.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return malformed("has no port");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed("has several colons");
  }
  if (host.empty()) return malformed("has no host");
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port < min_port) {
    return malformed(Format("has a port that is not a number from %d to 65535", min_port));
  }
  return HostPort{.host = std::string(host), .port = port};
}

bool SocketAddress::IsLoopback() const {
  constexpr uint8_t kLoopbackNetwork = 127;
  switch (family()) {
    case AF_UNIX:
      return true;
    case AF_INET: {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
      return ntohl(v4->sin_addr.s_addr) >> 24 == kLoopbackNetwork;
    }
    case AF_INET6: {
      const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
      return IN6_IS_ADDR_LOOPBACK(&v6) ||
             (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == kLoopbackNetwork);
    }
    default:
      return false;
  }
}

std::string SocketAddress::ToString() const {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if ((family() != AF_INET && family() != AF_INET6) ||
      getnameinfo(get(), size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "a local socket";
  }
  return family() == AF_INET6 ? Format("[%s]:%s", host, port) : Format("%s:%s", host, port);
}

bool IsNumeric(const HostPort& where) {
  in6_addr room;  // for either
  return inet_pton(AF_INET, where.host.c_str(), &room) == 1 ||
         inet_pton(AF_INET6, where.host.c_str(), &room) == 1;
}

absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& where) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        Format("cannot resolve host '%s': %s", where.host,
               error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  return addresses;
}

std::string DescribeProcess(int process, std::span<const std::string> addresses) {
  if (process < 0 || static_cast<size_t>(process) >= addresses.size()) {
    return Format("process %d", process);
  }
  return Format("process %d (%s)", process, addresses[static_cast<size_t>(process)]);
}

}  // namespace headway::internal
