#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "check.h"
#include "comm/system/file_descriptor.h"
#include "engine/store/store.h"
#include "tests/cluster/recovery/crash_run.h"
#include "tests/engine/store/postgres_server.h"
#include "tests/number_from_environment.h"

// Real processes are ended by force, or held up, at random moments. Their output is that of a run
// without failures all the same, byte for byte (but for the order of lines).
//
// HEADWAY_CRASH_TEST_SEED and HEADWAY_CRASH_TEST_SEEDS choose the seeds, HEADWAY_CRASH_TEST_BYTES
// the size of the text, HEADWAY_CRASH_TEST_STOPS how often a process is held up. With
// HEADWAY_CRASH_TEST_FILL_DISK=1 the file system of TMPDIR is filled in earnest: give it one of its
// own. HEADWAY_CRASH_TEST_AWAY_SECONDS is the time without PostgreSQL. A seed replays all choices,
// but not the moments at which they take effect.

namespace headway {
namespace {

constexpr int kCrashes = 5;

constexpr CrashShape kShapes[] = {{1, 2, false}, {2, 1, true}, {2, 2, false}, {1, 1, false},
                                  {2, 1, false}, {2, 2, true}, {1, 2, true}};

// The choices of a test.
class Choices {
 public:
  explicit Choices(uint64_t seed) : random_(seed), last_(static_cast<int>(seed % 3)) {}

  int Below(int end) { return static_cast<int>(random_() % static_cast<uint64_t>(end)); }
  bool Chance(int of_100) { return Below(100) < of_100; }
  void Options(CrashRun& run) {
    RunOptions& options = run.options;
    if (Chance(50)) {
      options.epoch_config = RecordCountEpochConfig{run.input().line_count() / (20 + Below(200))};
    } else {
      options.epoch_config = PeriodicEpochConfig{absl::Milliseconds(5 + Below(60))};
    }
    options.recovery_config->snapshot_every_epochs = Chance(30) ? 2 : 1;
  }
  // 1x2, 2x1 or 2x2 in turn by the seed; then another shape than the last one.
  CrashShape NextShape() {
    if (std::exchange(is_first_, false)) return kShapes[last_];
    last_ = (last_ + 1 + Below(static_cast<int>(std::size(kShapes)) - 1)) %
            static_cast<int>(std::size(kShapes));
    return kShapes[last_];
  }
  // One process of the run, or all of them.
  std::vector<pid_t> Victims(const CrashRun& run) {
    std::vector<pid_t> victims = run.pids();
    if (run.parent() != 0) victims.push_back(run.parent());
    if (Chance(70))
      victims = {victims[static_cast<size_t>(Below(static_cast<int>(victims.size())))]};
    return victims;
  }

 private:
  std::mt19937_64 random_;
  int last_;
  bool is_first_ = true;
};

// Calls f(choices) for each seed.
template <class F>
void ForEachSeed(F&& f) {
  const int64_t first = NumberFromEnvironment("HEADWAY_CRASH_TEST_SEED", 1);
  const int64_t count = NumberFromEnvironment("HEADWAY_CRASH_TEST_SEEDS", 1);
  for (int64_t seed = first; seed < first + count; ++seed) {
    CAPTURE(seed);
    Choices choices(static_cast<uint64_t>(seed));
    f(choices);
  }
}

void SendTo(const std::vector<pid_t>& pids, int signal_number) {
  for (const pid_t pid : pids) kill(pid, signal_number);
}

std::string Describe(const CrashShape& shape) {
  return absl::StrCat(shape.processes, "x", shape.workers, shape.spawned ? " spawned" : "");
}

// A process that did not die by force may only complain about the others.
void CheckSurvivors(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    if (!outcome.reported || outcome.status.ok()) continue;
    CHECK_MESSAGE(absl::IsUnavailable(outcome.status), outcome.status.ToString());
  }
}

// The last attempt, which nothing disturbs.
void CheckEnds(CrashRun& run, Choices& choices) {
  run.OpenGate();
  const CrashShape shape = choices.NextShape();
  CAPTURE(Describe(shape));
  run.Start(shape);
  for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
  run.CheckOutput();
}

// Waits for a part of the output. Only part of it may be committed.
void AwaitPart(CrashRun& run, double part) {
  if (!run.AwaitProgress(part)) {
    for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
    FAIL("the program ended by itself");
  }
}

// The same for a part that grows with `crash`, from 0 to kCrashes.
void AwaitProgress(CrashRun& run, Choices& choices, int crash) {
  AwaitPart(run, (crash + 0.01 * choices.Below(100)) / (kCrashes + 0.5));
}

TEST_CASE("a program whose processes are killed at random moments loses and repeats nothing") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    for (int crash = 0; crash <= kCrashes; ++crash) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(crash);
      CAPTURE(Describe(shape));
      run.Start(shape);
      // While it starts and resumes, or while it works, or, the last time, while it ends.
      if (crash == kCrashes) run.OpenGate();
      if (crash < kCrashes && choices.Chance(70)) {
        AwaitProgress(run, choices, crash);
      } else {
        absl::SleepFor(absl::Milliseconds(choices.Below(300)));
      }
      SendTo(choices.Victims(run), SIGKILL);
      CheckSurvivors(run.WaitForAll());
    }
    CheckEnds(run, choices);
  });
}

TEST_CASE("a process that stands still for a moment, or for longer than peer_timeout, is no harm") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    const auto stops = static_cast<int>(NumberFromEnvironment("HEADWAY_CRASH_TEST_STOPS", 2));
    for (int stop = 0; stop < stops; ++stop) {
      const bool is_lost = stop % 2 == 1;
      const CrashShape shape =
          choices.Chance(50) ? CrashShape{2, 2, false} : CrashShape{2, 1, true};
      CAPTURE(stop);
      CAPTURE(Describe(shape));
      run.Start(shape);
      AwaitPart(run, (stop + 0.5 + 0.003 * choices.Below(100)) / (stops + 0.5));
      const std::vector<pid_t> pids = run.pids();
      const pid_t stopped = pids[static_cast<size_t>(choices.Below(2))];
      SendTo({stopped}, SIGSTOP);
      absl::SleepFor(is_lost ? kShortPeerTimeout * 2 : kShortPeerTimeout / 5);
      SendTo({stopped}, SIGCONT);
      if (!is_lost) {
        AwaitPart(run, (stop + 1) / (stops + 0.5));
        SendTo(pids, SIGKILL);
      }
      CheckSurvivors(run.WaitForAll());
    }
    CheckEnds(run, choices);
  });
}

TEST_CASE("spawned processes that are killed again and again are restarted by the run itself") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    run.options.restart = RestartConfig{.max_restarts = 100, .backoff = absl::Milliseconds(1)};
    const CrashShape shape = choices.Chance(50) ? CrashShape{2, 2, true} : CrashShape{1, 2, true};
    CAPTURE(Describe(shape));
    run.Start(shape);
    for (int crash = 0; crash < kCrashes; ++crash) {
      CAPTURE(crash);
      AwaitProgress(run, choices, crash);
      const std::vector<pid_t> pids = run.pids();
      SendTo({pids[static_cast<size_t>(choices.Below(shape.processes))]}, SIGKILL);
      run.AwaitRestart();
    }
    run.OpenGate();
    for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
    run.CheckOutput();
  });
}

// Takes all space of a file system but for some bytes, until it is destroyed.
class Ballast {
 public:
  Ballast(const std::string& directory, uint64_t left) : file_(directory + "/ballast") {
    struct statvfs disk = {};
    HEADWAY_CHECK(statvfs(directory.c_str(), &disk) == 0);
    const uint64_t free = disk.f_bavail * disk.f_frsize;
    internal::FileDescriptor file(open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    HEADWAY_CHECK(file.is_open());
    if (free > left) {
      HEADWAY_CHECK(posix_fallocate(file.get(), 0, static_cast<off_t>(free - left)) == 0);
    }
  }
  ~Ballast() { unlink(file_.c_str()); }
  Ballast(const Ballast&) = delete;
  Ballast& operator=(const Ballast&) = delete;

 private:
  std::string file_;
};

TEST_CASE("a full disk ends a run with an error, and the next one resumes when there is room") {
  const bool fills = NumberFromEnvironment("HEADWAY_CRASH_TEST_FILL_DISK", 0) != 0;
  ForEachSeed([fills](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    for (int crash = 0; crash < kCrashes; ++crash) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(crash);
      CAPTURE(Describe(shape));
      const auto lines = static_cast<uint64_t>(run.input().line_count());
      const auto space = lines * static_cast<uint64_t>(75 + choices.Below(250) * (crash + 1)) / 100;
      std::optional<Ballast> ballast;
      if (fills) {
        ballast.emplace(std::filesystem::temp_directory_path(), space);
      } else {
        // The files of the output and of the store reach the limit in turn. It stands in for a full
        // disk, with another code of the error.
        run.before = [space] {
          signal(SIGXFSZ, SIG_IGN);
          const rlimit limit = {space, space};
          HEADWAY_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        };
      }
      run.Start(shape);
      for (const Outcome& outcome : run.WaitForAll()) {
        CHECK(outcome.reported);
        const absl::Status& status = outcome.status;
        CHECK_FALSE(status.ok());
        CHECK_FALSE(absl::IsDataLoss(status));
        if (!fills) continue;
        // Or the loss of a process for which the disk was full.
        CHECK_MESSAGE((absl::IsResourceExhausted(status) || absl::IsUnavailable(status)),
                      status.ToString());
      }
    }
    run.before = nullptr;
    CheckEnds(run, choices);
  });
}

TEST_CASE("a program that is stopped gracefully again and again reads each line once") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    run.options.stop_on_signals = true;
    for (int stop = 0; stop < kCrashes; ++stop) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(stop);
      CAPTURE(Describe(shape));
      run.Start(shape);
      AwaitProgress(run, choices, stop);
      SendTo(shape.spawned ? std::vector<pid_t>{run.parent()} : run.pids(), SIGTERM);
      for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
    }
    CheckEnds(run, choices);
    CHECK(run.lines_read() == run.input().line_count());
  });
}

TEST_CASE(
    "a program waits for its PostgreSQL server, and resumes when that was away for too long") {
  std::string reason;
  const auto server = internal::PostgresServer::Start(&reason);
  if (server == nullptr) {
    MESSAGE("skipped: ", reason);
    return;
  }
  int number = 0;
  const int64_t away_seconds = NumberFromEnvironment("HEADWAY_CRASH_TEST_AWAY_SECONDS", 1);
  ForEachSeed([&](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    const std::string schema = absl::StrCat("headway_store=crash", ++number);
    const auto use_store = [&](const std::string& timeout) {
      run.options.recovery_config->store =
          StoreInPostgres(server->uri(absl::StrCat(schema, "&headway_timeout=", timeout)));
    };
    for (const bool is_away_too_long : {false, true}) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(is_away_too_long);
      CAPTURE(Describe(shape));
      use_store(is_away_too_long ? "1s" : "60s");
      run.Start(shape);
      AwaitProgress(run, choices, is_away_too_long ? 3 : 1);
      server->Stop();
      absl::SleepFor(absl::Seconds(is_away_too_long ? 2.5 : away_seconds));
      server->StartAgain();
      if (!is_away_too_long) {
        AwaitProgress(run, choices, 2);
        SendTo(choices.Victims(run), SIGKILL);
      }
      CheckSurvivors(run.WaitForAll());
    }
    use_store("60s");
    CheckEnds(run, choices);
  });
}

}  // namespace
}  // namespace headway
