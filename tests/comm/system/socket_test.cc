#include "comm/system/socket.h"

#include <doctest/doctest.h>

#include <array>
#include <barrier>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/file_descriptor.h"
#include "tests/comm/mesh/mesh_helpers.h"

namespace headway::internal {
namespace {

SocketAddress AddressOf(const ReservedPorts& port) {
  return Resolve(*ParseAddress(port.addresses()[0]))->front();
}

}  // namespace

TEST_CASE("an address at which somebody listens is in use") {
  const ReservedPorts port(1);
  const SocketAddress address = AddressOf(port);
  const absl::StatusOr<FileDescriptor> first = Listen(address);
  CHECK(first.ok());
  const absl::Status second = Listen(address).status();
  CHECK(absl::IsUnavailable(second));
  CHECK(second.message().find("in use") != std::string::npos);
}

// The system may refuse both.
TEST_CASE("of two that begin to listen at one address at the same moment, one does") {
  for (int round = 0; round < 500; ++round) {
    const ReservedPorts port(1);
    const SocketAddress address = AddressOf(port);
    std::barrier together(2);
    std::array<absl::StatusOr<FileDescriptor>, 2> sockets;
    auto listen = [&](size_t number) {
      together.arrive_and_wait();
      sockets[number] = Listen(address);
    };
    std::thread other([&] { listen(1); });
    listen(0);
    other.join();
    REQUIRE(sockets[0].ok() + sockets[1].ok() == 1);
  }
}

}  // namespace headway::internal
