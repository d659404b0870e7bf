#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "check.h"
#include "engine/store/store.h"
#include "tests/cluster/recovery/crash_run.h"
#include "tests/engine/store/postgres_server.h"

// Real processes are ended by force, or held up, at random moments. Their output is that of a run
// without failures all the same, byte for byte (but for the order of lines).
//
// HEADWAY_CRASH_TEST_SEED and HEADWAY_CRASH_TEST_SEEDS choose the seeds, HEADWAY_CRASH_TEST_BYTES
// the size of the text. A seed replays all choices, but not the moments at which they take effect.

namespace headway {
namespace {

constexpr int kCrashes = 5;

constexpr CrashShape kShapes[] = {{1, 2, false}, {2, 1, true}, {2, 2, false}, {1, 1, false},
                                  {2, 1, false}, {2, 2, true}, {1, 2, true}};

// The choices of a test.
class Choices {
 public:
  explicit Choices(uint64_t seed) : random_(seed) {}

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
  // Another shape than the last one.
  CrashShape NextShape() {
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
  int last_ = 0;
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

// Waits for a part of the output that grows with `crash`, from 0 to kCrashes. Only part of it may
// be committed.
void AwaitProgress(CrashRun& run, Choices& choices, int crash) {
  if (!run.AwaitProgress((crash + 0.01 * choices.Below(100)) / (kCrashes + 0.5))) {
    for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
    FAIL("the program ended by itself");
  }
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
    for (const bool is_lost : {false, true}) {
      const CrashShape shape =
          choices.Chance(50) ? CrashShape{2, 2, false} : CrashShape{2, 1, true};
      CAPTURE(is_lost);
      CAPTURE(Describe(shape));
      run.Start(shape);
      AwaitProgress(run, choices, is_lost ? 3 : 1);
      const std::vector<pid_t> pids = run.pids();
      const pid_t stopped = pids[static_cast<size_t>(choices.Below(2))];
      SendTo({stopped}, SIGSTOP);
      absl::SleepFor(is_lost ? kShortPeerTimeout * 2 : kShortPeerTimeout / 5);
      SendTo({stopped}, SIGCONT);
      if (!is_lost) {
        AwaitProgress(run, choices, 2);
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

TEST_CASE("a full disk ends a run with an error, and the next one resumes when there is room") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    for (int crash = 0; crash < kCrashes; ++crash) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(crash);
      CAPTURE(Describe(shape));
      // The files of the output and of the store reach it in turn.
      const rlim_t longest_file =
          30'000 + static_cast<rlim_t>(choices.Below(100'000)) * (crash + 1);
      run.before = [longest_file] {
        signal(SIGXFSZ, SIG_IGN);
        const rlimit limit = {longest_file, longest_file};
        HEADWAY_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
      };
      run.Start(shape);
      for (const Outcome& outcome : run.WaitForAll()) {
        // The limit stands in for a full disk. The code of the error is another one than there.
        CHECK(outcome.reported);
        CHECK_FALSE(outcome.status.ok());
        CHECK_FALSE(absl::IsDataLoss(outcome.status));
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
  ForEachSeed([&](Choices& choices) {
    CrashRun run;
    choices.Options(run);
    const std::string schema = absl::StrCat("headway_store=crash", ++number);
    for (const bool is_away_too_long : {false, true}) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(is_away_too_long);
      CAPTURE(Describe(shape));
      run.options.recovery_config->store = StoreInPostgres(
          server->uri(absl::StrCat(schema, "&headway_timeout=", is_away_too_long ? "1s" : "60s")));
      run.Start(shape);
      AwaitProgress(run, choices, is_away_too_long ? 3 : 1);
      server->Stop();
      absl::SleepFor(absl::Seconds(is_away_too_long ? 2.5 : 1));
      server->StartAgain();
      if (!is_away_too_long) {
        AwaitProgress(run, choices, 2);
        SendTo(choices.Victims(run), SIGKILL);
      }
      CheckSurvivors(run.WaitForAll());
    }
    CheckEnds(run, choices);
  });
}

}  // namespace
}  // namespace headway
