#include <doctest/doctest.h>
#include <signal.h>

#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/cluster/recovery/crash_run.h"

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
  EpochConfig Epochs() {
    if (Chance(50)) return RecordCountEpochConfig{50 + Below(500)};
    return PeriodicEpochConfig{absl::Milliseconds(5 + Below(60))};
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

TEST_CASE("a program whose processes are killed at random moments loses and repeats nothing") {
  ForEachSeed([](Choices& choices) {
    CrashRun run;
    run.options.epoch_config = choices.Epochs();
    for (int crash = 0; crash <= kCrashes; ++crash) {
      const CrashShape shape = choices.NextShape();
      CAPTURE(crash);
      CAPTURE(Describe(shape));
      run.Start(shape);
      // While it starts and resumes, or while it works, or, the last time, while it ends.
      if (crash == kCrashes) run.OpenGate();
      if (crash < kCrashes && choices.Chance(70)) {
        const double part = (crash + 0.01 * choices.Below(100)) / (kCrashes + 0.5);
        if (!run.AwaitProgress(part)) {
          for (const Outcome& outcome : run.WaitForAll()) CheckEndedWell(outcome);
          FAIL("the program ended by itself");
        }
      } else {
        absl::SleepFor(absl::Milliseconds(choices.Below(300)));
      }
      SendTo(choices.Victims(run), SIGKILL);
      CheckSurvivors(run.WaitForAll());
    }
    CheckEnds(run, choices);
  });
}

}  // namespace
}  // namespace headway
