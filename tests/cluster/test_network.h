#ifndef HEADWAY_TESTS_CLUSTER_TEST_NETWORK_H_
#define HEADWAY_TESTS_CLUSTER_TEST_NETWORK_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/file_descriptor.h"

namespace headway {

// Hosts on this machine: network namespaces, each with the address 10.77.0.<host + 1> on a TUN
// device. Their packets go through the test, which can delay them, lose them, and cut links. The
// test must run as root, and needs no program of the system.
class TestNetwork {
 public:
  // An error where the machine does not allow it.
  static absl::Status Make(int host_count, TestNetwork* network);

  // "10.77.0.2:4100".
  static std::string AddressOf(int host);

  // Calls `start` in the namespace of the host, so that a process that it forks is there.
  void InHost(int host, const std::function<void()>& start) const;

  absl::Duration delay = absl::ZeroDuration();  // of every packet
  double loss = 0;                              // the part of packets that get lost
  // Cuts or restores the link between two hosts.
  void SetCut(int host, int other, bool cut);

  // Carries packets until `done`, or for `limit`. Returns whether it was done.
  bool CarryUntil(const std::function<bool()>& done, absl::Duration limit);

 private:
  struct Host {
    internal::FileDescriptor network_namespace;
    internal::FileDescriptor device;
  };
  std::vector<Host> hosts_;
  std::vector<std::vector<bool>> cut_;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_CLUSTER_TEST_NETWORK_H_
