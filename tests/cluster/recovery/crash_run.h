#ifndef HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_RUN_H_
#define HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_RUN_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/system/file_descriptor.h"
#include "tests/cluster/recovery/crash_flow.h"
#include "tests/cluster/test_cluster.h"
#include "tests/temporary_directory.h"

namespace headway {

struct CrashShape {
  int processes;
  int workers;   // of each
  bool spawned;  // by SpawnCluster; otherwise each process runs ClusterMain
};

// A program with recovery in processes of its own. A test starts it and kills it any number of
// times, until it ends by itself, and compares its output with that of a run without failures. The
// input is the same for all tests; HEADWAY_CRASH_TEST_BYTES is the size of its text.
class CrashRun {
 public:
  CrashRun();
  ~CrashRun();
  CrashRun(const CrashRun&) = delete;
  CrashRun& operator=(const CrashRun&) = delete;

  // The options of the next attempts, with a store in a directory. A test may change them.
  RunOptions options;
  // Called in each process before it runs.
  std::function<void()> before;

  // Starts all processes; no attempt is under way.
  void Start(const CrashShape& shape);
  // Of the processes with workers.
  std::vector<pid_t> pids() const;
  // The process that spawned the others; 0 in a cluster without one.
  pid_t parent() const;
  // Waits until the processes read lines and the output has this part of its final size. False: a
  // process has ended before.
  bool AwaitProgress(double part) const;
  bool AnyHasEnded() const;
  // Lets the program end when it has read everything.
  void OpenGate() const;
  // Waits until all processes have ended. Returns the outcomes of those that the test started: of
  // the parent alone if it spawned the others.
  std::vector<Outcome> WaitForAll();
  // Waits until the parent has spawned all processes again.
  void AwaitRestart();

  // The lines that were read in all attempts.
  int64_t lines_read() const { return *lines_; }
  const CrashInput& input() const;
  // Checks that the output is that of a run without failures.
  void CheckOutput() const;

 private:
  // Waits until the parent has children, none of them in spawned_.
  void FindSpawned();

  TemporaryDirectory directory_;
  std::unique_ptr<TestCluster> cluster_;
  CrashShape shape_ = {};
  std::vector<std::pair<pid_t, internal::FileDescriptor>> spawned_;  // with descriptors of theirs
  std::atomic<int64_t>* const lines_;  // in memory that all processes share
  int64_t lines_at_start_ = 0;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_CLUSTER_RECOVERY_CRASH_RUN_H_
