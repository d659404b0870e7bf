#include "comm/system/address.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>

#include "comm/mesh/address_book.h"
#include "comm/system/name_lookup.h"

namespace headway::internal {
namespace {

SocketAddress V4(const char* text) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(99);
  REQUIRE(inet_pton(AF_INET, text, &v4->sin_addr) == 1);
  address.size = sizeof(*v4);
  return address;
}

SocketAddress V6(const char* text) {
  SocketAddress address;
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(99);
  REQUIRE(inet_pton(AF_INET6, text, &v6->sin6_addr) == 1);
  address.size = sizeof(*v6);
  return address;
}

TEST_CASE("an address is a host and a port") {
  const auto parsed = [](std::string_view text) {
    const auto where = ParseAddress(text);
    REQUIRE_MESSAGE(where.ok(), where.status().ToString());
    return where->host + " " + std::to_string(where->port);
  };
  CHECK(parsed("host:2101") == "host 2101");
  CHECK(parsed("10.0.0.1:1") == "10.0.0.1 1");
  CHECK(parsed("[::1]:65535") == "::1 65535");
  CHECK(parsed("a-b.example.org:80") == "a-b.example.org 80");
}

TEST_CASE("an address that is malformed is refused with what is wrong with it") {
  const auto message = [](std::string_view text) {
    return std::string(ParseAddress(text).status().message());
  };
  const std::string hint = ": write host:port or [ipv6]:port";
  CHECK(message("host") == "address 'host' has no port" + hint);
  CHECK(message("[::1]") == "address '[::1]' has no port" + hint);
  CHECK(message("::1:5") == "address '::1:5' has several colons" + hint);
  CHECK(message(":5") == "address ':5' has no host" + hint);
  CHECK(message("[]:5") == "address '[]:5' has no host" + hint);
  CHECK(message("") == "address '' has no port" + hint);
  for (const char* port : {"", "0", "65536", "-1", "5x", " 5", "99999999999999999999"}) {
    const std::string text = std::string("h:") + port;
    CHECK(message(text) ==
          "address '" + text + "' has a port that is not a number from 1 to 65535" + hint);
  }
}

TEST_CASE("loopback is what only this machine can reach") {
  CHECK(V4("127.0.0.1").IsLoopback());
  CHECK(V4("127.255.0.9").IsLoopback());
  CHECK_FALSE(V4("126.0.0.1").IsLoopback());
  CHECK_FALSE(V4("0.0.0.0").IsLoopback());
  CHECK(V6("::1").IsLoopback());
  CHECK(V6("::ffff:127.0.0.1").IsLoopback());
  CHECK_FALSE(V6("::ffff:10.0.0.1").IsLoopback());
  CHECK_FALSE(V6("::").IsLoopback());
  CHECK_FALSE(V6("fe80::1").IsLoopback());
}

TEST_CASE("numbers and names are resolved") {
  const auto v4 = Resolve({.host = "127.0.0.1", .port = 7});
  REQUIRE(v4.ok());
  REQUIRE(v4->size() == 1);
  CHECK(v4->front().ToString() == "127.0.0.1:7");
  const auto v6 = Resolve({.host = "::1", .port = 7});
  REQUIRE(v6.ok());
  CHECK(v6->front().ToString() == "[::1]:7");
  // A system that was only just unpacked knows no name at all.
  if (std::ifstream("/etc/hosts").good()) {
    const auto local = Resolve({.host = "localhost", .port = 7});
    REQUIRE(local.ok());
    CHECK(std::ranges::all_of(*local, [](const SocketAddress& a) { return a.IsLoopback(); }));
  } else {
    MESSAGE("names are not resolved here: there is no /etc/hosts");
  }
  const auto unknown = Resolve({.host = "no-such-host.invalid", .port = 7});
  CHECK(absl::IsUnavailable(unknown.status()));
  CHECK(unknown.status().message().find("'no-such-host.invalid'") != std::string::npos);
}

TEST_CASE("names are looked up beside the caller, numbers at once") {
  using std::chrono::milliseconds;
  const auto number = NameLookup({.host = "::1", .port = 7}).WaitFor(milliseconds(0));
  REQUIRE(number.has_value());
  REQUIRE(number->ok());
  CHECK((*number)->front().ToString() == "[::1]:7");
  NameLookup name({.host = "no-such-host.invalid", .port = 7});
  const auto unknown = name.WaitFor(milliseconds(60'000));
  REQUIRE(unknown.has_value());
  CHECK(absl::IsUnavailable(unknown->status()));
  // Nobody needs to wait for an answer.
  static_cast<void>(NameLookup({.host = "another-host.invalid", .port = 7}));
}

TEST_CASE("a cluster without a secret has loopback addresses only, unless it is insecure") {
  const std::vector<std::string> addresses = {"127.0.0.1:5", "192.0.2.7:5"};
  MeshOptions options{.process_count = 2};
  const absl::Status refused = AddressBook(options, addresses).Check(2);
  CHECK(refused == absl::InvalidArgumentError(
                       "process 1 (192.0.2.7:5) is not at a loopback address, and the cluster has "
                       "no secret: give all processes the same secret, or say that the cluster is "
                       "insecure"));
  options.insecure = true;
  CHECK(AddressBook(options, addresses).Check(2).ok());
  options.insecure = false;
  options.secret = "s";
  CHECK(AddressBook(options, addresses).Check(2).ok());
}

TEST_CASE("the list of addresses has one for each process, all different") {
  const MeshOptions options{.process_count = 2};
  const std::vector<std::string> one = {"127.0.0.1:5"};
  CHECK(AddressBook(options, one).Check(2) ==
        absl::InvalidArgumentError("1 addresses were given for 2 processes"));
  const std::vector<std::string> same = {"127.0.0.1:5", "127.0.0.1:5"};
  CHECK(AddressBook(options, same).Check(2) ==
        absl::InvalidArgumentError("processes 0 and 1 have the same address, 127.0.0.1:5"));
  const std::vector<std::string> malformed = {"127.0.0.1:5", "nowhere"};
  CHECK(absl::IsInvalidArgument(AddressBook(options, malformed).Check(2)));
}

}  // namespace
}  // namespace headway::internal
