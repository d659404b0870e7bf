#ifndef HEADWAY_TESTS_CLUSTER_TEST_CLUSTER_H_
#define HEADWAY_TESTS_CLUSTER_TEST_CLUSTER_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "comm/system/file_descriptor.h"
#include "engine/launch/cluster.h"
#include "tests/sanitizers.h"

namespace headway {

// A peer_timeout for tests that wait for it. Processes that are slowed down by a sanitizer, and by
// the tests beside them, must not take each other for dead.
inline constexpr absl::Duration kShortPeerTimeout = absl::Seconds(kSanitized ? 5 : 1);

// The time that a process may take to end after such a timeout. It needs far less, but the machine
// may be busy.
inline constexpr absl::Duration kToEnd = absl::Seconds(kSanitized ? 5 : 1);

// Limit of a wait that only a defect makes long: the test fails then, instead of hanging.
inline constexpr absl::Duration kGiveUp = absl::Seconds(60);

// How a process of a cluster ended.
struct Outcome {
  bool reported = false;  // false: it was killed, or crashed
  absl::Status status;
  absl::Duration took;             // by its body
  absl::Time ended;                // its body
  std::vector<std::string> lines;  // that its body has made
};

// Sends messages from the body of a process to the test while it runs. Thread safe.
class ToTest {
 public:
  explicit ToTest(int pipe) : pipe_(pipe) {}
  // Makes one AwaitSignal of the test return.
  void Signal() const;

 private:
  int pipe_;
};

// The processes of a cluster, as children of the test, at loopback ports that the system chose.
// They are killed with the object, and with the test. The test must have no other threads.
class TestCluster {
 public:
  explicit TestCluster(int process_count);
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  int process_count() const { return static_cast<int>(addresses_.size()); }
  const std::vector<std::string>& addresses() const { return addresses_; }
  // The options of all processes. A test may change them.
  ClusterOptions options;
  // `options` as process `process` has them.
  ClusterOptions OptionsOf(int process) const;

  // Forks process `process`, which runs `body` and then ends. Nothing of doctest may be used there.
  // A second one with the same id gets the number that is returned, to be asked for by it.
  using Body = std::function<absl::Status(const ToTest& test, std::vector<std::string>& lines)>;
  int Start(int process, const Body& body);
  // The same with a dataflow.
  int Start(int process, const Dataflow& dataflow);
  int Start(int process, const Dataflow& dataflow, const ClusterOptions& its_options);

  // Waits for a call of Signal.
  void AwaitSignal(int number);
  // Whether AwaitSignal would not wait.
  bool HasSignal(int number) const;
  // Whether Wait would not wait.
  bool HasEnded(int number) const;
  // Waits until the process has ended. Once for each.
  Outcome Wait(int number);
  // Waits for all that were started, and were not waited for: by number.
  std::vector<Outcome> WaitForAll();

  pid_t pid(int number) const { return children_[static_cast<size_t>(number)].pid; }
  void SendSignal(int number, int signal_number) const;

 private:
  struct Child {
    pid_t pid = 0;  // 0: it was not started, or has ended
    internal::FileDescriptor report;
    internal::FileDescriptor signals;
  };

  std::vector<internal::FileDescriptor> reserved_;  // bound to the ports, and not listening
  std::vector<std::string> addresses_;
  std::vector<Child> children_;  // by number: that of the process, or later ones
};

// A socket that is bound to a loopback port which the system chose, and does not listen. Nobody
// else gets the port, but a process can listen at it all the same.
internal::FileDescriptor ReservePort(std::string* address);

// Checks that a process reported an error of this code, with each of `parts` in its message.
void CheckFailed(const Outcome& outcome, absl::StatusCode code,
                 const std::vector<std::string>& parts);
void CheckEndedWell(const Outcome& outcome);

// "process 2 (".
std::string NameOf(int process);

}  // namespace headway

#endif  // HEADWAY_TESTS_CLUSTER_TEST_CLUSTER_H_
