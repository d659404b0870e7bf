#include "tests/cluster/recovery/crash_run.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iostream>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "check.h"
#include "engine/store/store.h"
#include "tests/number_from_environment.h"

namespace headway {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::vector<std::string>>;

constexpr size_t kPage = 4096;

void* SharedPage() {
  void* const page =
      mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HEADWAY_CHECK(page != MAP_FAILED);
  return page;
}

// The input of all runs, and the output of a run over it without failures.
struct Reference {
  Reference()
      : input(directory.path(),
              NumberFromEnvironment("HEADWAY_CRASH_TEST_BYTES", kSanitized ? 200'000 : 1'000'000)) {
    const fs::path out = directory / "out";
    const fs::path gate = directory / "gate";
    fs::create_directories(out / "maxima");
    std::ofstream(gate).put('\n');
    // In a process of its own: this one must stay without threads.
    TestCluster cluster(1);
    cluster.Start(0, [&](const ToTest&, std::vector<std::string>&) {
      std::atomic<int64_t> lines = 0;
      const absl::Status status =
          RunMain(CrashFlow(input, out, gate, lines),
                  {.worker_count = 2, .epoch_config = PeriodicEpochConfig{absl::Milliseconds(50)}});
      HEADWAY_CHECK(lines == input.line_count());
      return status;
    });
    CheckEndedWell(cluster.Wait(0));
    bytes = OutputBytes(out);
    output = OutputLines(out);
    fs::remove_all(out);
  }

  TemporaryDirectory directory;
  CrashInput input;
  int64_t bytes = 0;
  Files output;
};

const Reference& TheReference() {
  static const Reference reference;
  return reference;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  std::ifstream file(absl::StrCat("/proc/", parent, "/task/", parent, "/children"));
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

}  // namespace

CrashRun::CrashRun() : lines_(new(SharedPage()) std::atomic<int64_t>(0)) {
  TheReference();
  options.epoch_config = PeriodicEpochConfig{absl::Milliseconds(30)};
  options.recovery_config = RecoveryConfig{.store = StoreInDirectory(directory_ / "store")};
  // So that an epoch is short although sources are faster than steps.
  options.max_bytes_in_flight = 1 << 16;
  options.cluster.peer_timeout = kShortPeerTimeout;
  fs::create_directories(directory_ / "out/maxima");
}

CrashRun::~CrashRun() {
  cluster_.reset();
  munmap(lines_, kPage);
}

void CrashRun::Start(const CrashShape& shape) {
  // A spawned process flushes its copy of the buffer too.
  std::cout.flush();
  shape_ = shape;
  lines_at_start_ = *lines_;
  cluster_ = std::make_unique<TestCluster>(shape.spawned ? 1 : shape.processes);
  RunOptions run = options;
  run.cluster.connect_timeout = cluster_->options.run.cluster.connect_timeout;
  for (int process = 0; process < cluster_->process_count(); ++process) {
    ClusterOptions member = cluster_->OptionsOf(process);
    member.worker_count_per_proc = shape.workers;
    member.run = run;
    cluster_->Start(process, [=, this](const ToTest& test, std::vector<std::string>&) {
      if (before) before();
      const Dataflow flow =
          CrashFlow(TheReference().input, directory_ / "out", directory_ / "gate", *lines_);
      test.Signal();
      return shape.spawned ? SpawnCluster(flow, {.proc_count = shape.processes,
                                                 .worker_count_per_proc = shape.workers,
                                                 .run = member.run})
                           : ClusterMain(flow, member);
    });
    cluster_->AwaitSignal(process);
  }
  spawned_.clear();
  if (shape.spawned) FindSpawned();
}

void CrashRun::FindSpawned() {
  const absl::Time deadline = absl::Now() + kGiveUp;
  std::vector<pid_t> children;
  const auto is_new = [this](pid_t child) {
    return std::ranges::none_of(spawned_, [child](const auto& old) { return old.first == child; });
  };
  while (static_cast<int>(children.size()) < shape_.processes ||
         !std::ranges::all_of(children, is_new)) {
    if (AnyHasEnded()) return;
    REQUIRE_MESSAGE(absl::Now() < deadline, "the processes are not spawned");
    absl::SleepFor(absl::Milliseconds(1));
    children = ChildrenOf(cluster_->pid(0));
  }
  spawned_.clear();
  for (const pid_t child : children) {
    spawned_.emplace_back(child, static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  }
}

void CrashRun::AwaitRestart() { FindSpawned(); }

std::vector<pid_t> CrashRun::pids() const {
  std::vector<pid_t> all;
  if (shape_.spawned) {
    for (const auto& [pid, descriptor] : spawned_) all.push_back(pid);
  } else {
    for (int process = 0; process < shape_.processes; ++process) {
      all.push_back(cluster_->pid(process));
    }
  }
  return all;
}

pid_t CrashRun::parent() const { return shape_.spawned ? cluster_->pid(0) : 0; }

bool CrashRun::AnyHasEnded() const {
  for (int process = 0; process < cluster_->process_count(); ++process) {
    if (cluster_->HasEnded(process)) return true;
  }
  return false;
}

bool CrashRun::AwaitProgress(double part) const {
  const absl::Time deadline = absl::Now() + kGiveUp;
  const auto bytes = static_cast<int64_t>(part * static_cast<double>(TheReference().bytes));
  const auto is_reached = [&] {
    const int64_t written = OutputBytes(directory_ / "out");
    return written >= bytes && (*lines_ > lines_at_start_ || written >= TheReference().bytes);
  };
  while (!is_reached()) {
    if (AnyHasEnded()) return false;
    REQUIRE_MESSAGE(absl::Now() < deadline, "the program makes no progress");
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

void CrashRun::OpenGate() const { std::ofstream(directory_ / "gate").put('\n'); }

std::vector<Outcome> CrashRun::WaitForAll() {
  std::vector<Outcome> outcomes = cluster_->WaitForAll();
  // A spawned process that lost its parent still has the locks until the system has ended it.
  for (const auto& [pid, descriptor] : spawned_) {
    pollfd ended = {descriptor.get(), POLLIN, 0};
    if (descriptor.is_open()) {
      REQUIRE(poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(kGiveUp))) == 1);
    }
  }
  return outcomes;
}

const CrashInput& CrashRun::input() const { return TheReference().input; }

void CrashRun::CheckOutput() const {
  const Files output = OutputLines(directory_ / "out");
  const Files& expected = TheReference().output;
  CHECK(output.size() == expected.size());
  for (const auto& [file, lines] : expected) {
    CAPTURE(file);
    REQUIRE(output.contains(file));
    const std::vector<std::string>& got = output.at(file);
    const auto [at, should] = std::ranges::mismatch(got, lines);
    CAPTURE(got.size());
    CAPTURE(lines.size());
    CHECK((at == got.end() ? "nothing" : *at) == (should == lines.end() ? "nothing" : *should));
  }
}

}  // namespace headway
