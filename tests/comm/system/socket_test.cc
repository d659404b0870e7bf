#include "comm/system/socket.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <barrier>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "comm/system/address.h"
#include "comm/system/file_descriptor.h"

namespace headway::internal {
namespace {

// An address of this machine with a free port. While the socket is there, the system gives the port
// to nobody who does not ask for it.
std::pair<FileDescriptor, SocketAddress> ReservePort() {
  SocketAddress address = Resolve({"127.0.0.1", 0})->front();
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  REQUIRE(bind(socket.get(), address.get(), address.size) == 0);
  REQUIRE(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size) ==
          0);
  return {std::move(socket), address};
}

}  // namespace

TEST_CASE("an address at which somebody listens is in use") {
  const auto [reserved, address] = ReservePort();
  const absl::StatusOr<FileDescriptor> first = Listen(address);
  CHECK(first.ok());
  const absl::Status second = Listen(address).status();
  CHECK(absl::IsUnavailable(second));
  CHECK(second.message().find("in use") != std::string::npos);
}

// The system may refuse both.
TEST_CASE("of two that begin to listen at one address at the same moment, one does") {
  for (int round = 0; round < 500; ++round) {
    const auto [reserved, address] = ReservePort();
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
