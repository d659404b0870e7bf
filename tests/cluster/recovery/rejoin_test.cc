#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/cluster/test_cluster.h"
#include "tests/temporary_directory.h"

// Clusters whose processes are lost and started again, and resume together.

namespace headway {
namespace {

constexpr int kEnd = 300;
constexpr int kKeys = 8;

// Running sums, in a file for each key. `check` is called on the worker of the key before the file
// gets the sum of `number`.
Dataflow SumsInFiles(const std::string& directory, const std::function<void(int number)>& check) {
  return Dataflow("sums", [=](Scope<>& scope) {
    std::vector<int> numbers(kEnd);
    std::iota(numbers.begin(), numbers.end(), 0);
    scope.Input("numbers", TestingSource(numbers)) | KeyOn("key", [](int number) {
      return number % kKeys;
    }) | StatefulMap<int64_t>("sum", [check](std::optional<int64_t>& sum, int number) {
      sum = sum.value_or(0) + number;
      check(number);
      return *sum;
    }) | Output("out", DirectorySink(directory, [](const std::pair<int, int64_t>& sum) {
                  return std::to_string(sum.first);
                }));
  });
}

void CheckFiles(const std::string& directory) {
  for (int key = 0; key < kKeys; ++key) {
    CAPTURE(key);
    std::string expected;
    int64_t sum = 0;
    for (int number = key; number < kEnd; number += kKeys) {
      sum += number;
      expected += "(" + std::to_string(key) + ", " + std::to_string(sum) + ")\n";
    }
    std::ifstream file(directory + "/" + std::to_string(key));
    std::ostringstream content;
    content << file.rdbuf();
    CHECK(content.str() == expected);
  }
}

// A cluster of two processes whose files and store are in a directory.
class RestartingCluster {
 public:
  RestartingCluster() {
    std::filesystem::create_directory(files());
    ClusterOptions& options = cluster.options;
    options.run.epoch_config = RecordCountEpochConfig{3};
    options.run.recovery_config = RecoveryConfig{.store = StoreInDirectory(dir_ / "store")};
    options.run.restart = RestartConfig{.window = kGiveUp / 2};
    options.run.cluster.peer_timeout = kShortPeerTimeout;
  }

  // The process does `act` once, in the middle of the run; no other process does. It signals the
  // test when it resumes.
  int Start(ClusterOptions options, const std::function<void(const ToTest&)>& act) {
    return cluster.Start(options.proc_id, [=, this](const ToTest& test, std::vector<std::string>&) {
      ClusterOptions own = options;
      own.run.log_hook = [&test](LogSeverity, std::string_view message) {
        if (message.find("resumes in") != std::string_view::npos) test.Signal();
      };
      return ClusterMain(SumsInFiles(files(),
                                     [&](int number) {
                                       if (act && number > kEnd / 3 && IsFirst()) act(test);
                                     }),
                         own);
    });
  }
  int Start(int process, const std::function<void(const ToTest&)>& act = nullptr) {
    return Start(cluster.OptionsOf(process), act);
  }

  std::string files() const { return dir_ / "files"; }

  TestCluster cluster{2};

 private:
  bool IsFirst() const {
    const int created = open((dir_ / "acted").c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (created >= 0) close(created);
    return created >= 0;
  }

  TemporaryDirectory dir_;
};

// Whether the process has an exclusive lock of a SQLite file.
bool IsInTransaction(pid_t pid) {
  std::ifstream locks("/proc/locks");
  const std::string owner = " WRITE " + std::to_string(pid) + " ";
  for (std::string line; std::getline(locks, line);) {
    if (line.find("POSIX") != line.npos && line.find(owner) != line.npos) return true;
  }
  return false;
}

// Stops the process outside of transactions of its store: others cannot end those.
void StopBetweenTransactions(TestCluster& cluster, int number) {
  for (;;) {
    cluster.SendSignal(number, SIGSTOP);
    REQUIRE(waitpid(cluster.pid(number), nullptr, WUNTRACED) == cluster.pid(number));
    if (!IsInTransaction(cluster.pid(number))) return;
    cluster.SendSignal(number, SIGCONT);
  }
}

TEST_CASE("the other processes wait for one that was killed, and resume with it") {
  for (const int victim : {0, 1}) {
    CAPTURE(victim);
    RestartingCluster run;
    run.Start(1 - victim);
    run.Start(victim, [](const ToTest&) { kill(getpid(), SIGKILL); });
    CHECK_FALSE(run.cluster.Wait(victim).reported);
    run.cluster.AwaitSignal(1 - victim);
    const int replacement = run.Start(victim);
    CheckEndedWell(run.cluster.Wait(replacement));
    CheckEndedWell(run.cluster.Wait(1 - victim));
    CheckFiles(run.files());
  }
}

TEST_CASE("a process that was given up and replaced does no harm when it wakes up") {
  RestartingCluster run;
  run.Start(0);
  ClusterOptions zombie = run.cluster.OptionsOf(1);
  zombie.run.restart->window = absl::Seconds(1);
  zombie.run.cluster.connect_timeout = 3 * kToEnd;
  int wake[2];
  REQUIRE(pipe(wake) == 0);
  run.Start(zombie, [&wake](const ToTest& test) {
    test.Signal();
    char byte;
    if (read(wake[0], &byte, 1) != 1) std::abort();
  });
  run.cluster.AwaitSignal(1);
  StopBetweenTransactions(run.cluster, 1);
  run.cluster.AwaitSignal(0);
  // The stopped process has its port.
  ClusterOptions options = run.cluster.OptionsOf(1);
  const internal::FileDescriptor port = ReservePort(&options.addresses[1]);
  const int replacement = run.Start(options, nullptr);
  CheckEndedWell(run.cluster.Wait(replacement));
  CheckEndedWell(run.cluster.Wait(0));
  CheckFiles(run.files());
  run.cluster.SendSignal(1, SIGCONT);
  CHECK(write(wake[1], "w", 1) == 1);
  CheckFailed(run.cluster.Wait(1), absl::StatusCode::kUnavailable, {NameOf(0)});
  CheckFiles(run.files());

  // The store is that of a run that has ended: the next one has nothing to do.
  std::vector<int> again;
  for (const int process : {0, 1}) {
    again.push_back(
        run.cluster.Start(process, SumsInFiles(run.files(), [](int) { std::abort(); })));
  }
  for (const int number : again) CheckEndedWell(run.cluster.Wait(number));
  for (const int end : wake) close(end);
  CheckFiles(run.files());
}

TEST_CASE("a process waits for a lost one no longer than the window") {
  RestartingCluster run;
  run.cluster.options.run.restart->window = absl::Milliseconds(100);
  run.cluster.options.run.cluster.connect_timeout = 3 * kToEnd;
  run.Start(0);
  run.Start(1, [](const ToTest&) { kill(getpid(), SIGKILL); });
  CheckFailed(run.cluster.Wait(0), absl::StatusCode::kUnavailable, {"still misses", NameOf(1)});
}

}  // namespace
}  // namespace headway
