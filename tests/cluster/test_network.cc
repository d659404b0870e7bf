#include "tests/cluster/test_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "check.h"

namespace headway {
namespace {

using internal::FileDescriptor;

constexpr size_t kMaxPacketBytes = 1 << 16;

absl::Status Failed(const char* what) {
  return absl::UnavailableError(absl::StrFormat("%s: %s", what, std::strerror(errno)));
}

FileDescriptor OwnNamespace() {
  return FileDescriptor(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

bool SetUp(int socket, const char* device) {
  ifreq request = {};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return ioctl(socket, SIOCSIFFLAGS, &request) == 0;
}

bool SetAddress(int socket, const char* device, unsigned long option, uint32_t address) {
  ifreq request = {};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  sockaddr_in where = {};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(address);
  std::memcpy(&request.ifr_addr, &where, sizeof(where));
  return ioctl(socket, option, &request) == 0;
}

// A TUN device in the namespace of this thread, up and with an address.
absl::Status MakeDevice(int host, FileDescriptor* device) {
  *device = FileDescriptor(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ifreq request = {};
  std::strcpy(request.ifr_name, "link");
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (!device->is_open() || ioctl(device->get(), TUNSETIFF, &request) != 0) {
    return Failed("cannot make a TUN device");
  }
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const uint32_t address = (10U << 24) + (77U << 16) + static_cast<uint32_t>(host) + 1;
  if (!SetAddress(socket.get(), "link", SIOCSIFADDR, address) ||
      !SetAddress(socket.get(), "link", SIOCSIFNETMASK, 0xFFFFFF00) ||
      !SetUp(socket.get(), "link") || !SetUp(socket.get(), "lo")) {
    return Failed("cannot set up a TUN device");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TestNetwork::Make(int host_count, TestNetwork* network) {
  const FileDescriptor own = OwnNamespace();
  if (!own.is_open()) return Failed("cannot open the own network namespace");
  absl::Status status;
  for (int host = 0; host < host_count && status.ok(); ++host) {
    Host& made = network->hosts_.emplace_back();
    if (unshare(CLONE_NEWNET) != 0) {
      status = Failed("cannot make a network namespace");
    } else {
      made.network_namespace = OwnNamespace();
      status = MakeDevice(host, &made.device);
    }
  }
  HEADWAY_CHECK(setns(own.get(), CLONE_NEWNET) == 0 || !status.ok());
  const auto count = static_cast<size_t>(host_count);
  network->cut_.assign(count, std::vector<bool>(count, false));
  return status;
}

std::string TestNetwork::AddressOf(int host) {
  return absl::StrFormat("10.77.0.%d:4100", host + 1);
}

void TestNetwork::InHost(int host, const std::function<void()>& start) const {
  const FileDescriptor own = OwnNamespace();
  const FileDescriptor& there = hosts_[static_cast<size_t>(host)].network_namespace;
  HEADWAY_CHECK(setns(there.get(), CLONE_NEWNET) == 0);
  start();
  HEADWAY_CHECK(setns(own.get(), CLONE_NEWNET) == 0);
}

void TestNetwork::SetCut(int host, int other, bool cut) {
  cut_[static_cast<size_t>(host)][static_cast<size_t>(other)] = cut;
  cut_[static_cast<size_t>(other)][static_cast<size_t>(host)] = cut;
}

bool TestNetwork::CarryUntil(const std::function<bool()>& done, absl::Duration limit) {
  struct Packet {
    absl::Time due;
    size_t to;
    std::vector<char> bytes;
  };
  std::deque<Packet> under_way;  // by due
  std::mt19937_64 random(1);
  std::vector<pollfd> devices;
  for (const Host& host : hosts_) devices.push_back({host.device.get(), POLLIN, 0});
  std::vector<char> buffer(kMaxPacketBytes);
  const absl::Time end = absl::Now() + limit;
  while (absl::Now() < end) {
    if (done()) return true;
    poll(devices.data(), devices.size(), under_way.empty() ? 5 : 1);
    for (size_t from = 0; from < hosts_.size(); ++from) {
      while (true) {
        const ssize_t count = read(devices[from].fd, buffer.data(), buffer.size());
        if (count < 20) break;
        // IPv4 only: the last byte of the destination tells the host.
        const auto to = static_cast<size_t>(static_cast<uint8_t>(buffer[19]) - 1);
        if (buffer[0] >> 4 != 4 || to >= hosts_.size() || cut_[from][to]) continue;
        if (std::uniform_real_distribution<>(0, 1)(random) < loss) continue;
        under_way.push_back({absl::Now() + delay, to, {buffer.begin(), buffer.begin() + count}});
      }
    }
    while (!under_way.empty() && under_way.front().due <= absl::Now()) {
      const Packet& packet = under_way.front();
      // A packet that the device does not take is one more that is lost.
      if (write(devices[packet.to].fd, packet.bytes.data(), packet.bytes.size()) < 0) errno = 0;
      under_way.pop_front();
    }
  }
  return done();
}

}  // namespace headway
