// The errors of runs with recovery: each is one sentence, and the store is as before.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/store/merge.h"
#include "engine/store/sqlite.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

using internal::MemoryStore;

constexpr int kKeys = 8;

RunOptions With(std::shared_ptr<RecoveryStore> store, int workers = 1) {
  return {.worker_count = workers,
          .epoch_config = RecordCountEpochConfig{kKeys},
          .recovery_config = RecoveryConfig{.store = std::move(store)}};
}

// The last sum of each key. Thread safe.
class LastSums {
 public:
  void Set(int key, int64_t sum) {
    std::lock_guard lock(mutex_);
    sums_[key] = std::max(sums_[key], sum);
  }
  std::map<int, int64_t> get() const {
    std::lock_guard lock(mutex_);
    return sums_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, int64_t> sums_;
};

// The sums of the numbers to `end` by their remainders. The state has the type S.
template <class S = int64_t>
Dataflow SumsOf(int end, LastSums& sums, const std::string& step = "sum",
                const std::string& name = "sums") {
  return Dataflow(name, [end, &sums, step](Scope<>& scope) {
    scope.Input("numbers", TestingSource(NumbersTo(end))) | KeyOn("key", [](int number) {
      return number % kKeys;
    }) | StatefulMap<S>(step, [](std::optional<S>& sum, int number) {
      sum = static_cast<S>(sum.value_or(0) + number);
      return static_cast<int64_t>(*sum);
    }) | Output("out", CallbackSink([&sums](const std::pair<int, int64_t>& sum) {
                  sums.Set(sum.first, sum.second);
                }));
  });
}

// The sums of the numbers from `begin` to `end`.
std::map<int, int64_t> Expected(int end, int begin = 0) {
  std::map<int, int64_t> sums;
  for (int number = begin; number < end; ++number) sums[number % kKeys] += number;
  return sums;
}

absl::Status Run(std::shared_ptr<RecoveryStore> store, int end, LastSums& sums, int workers = 1) {
  return RunMain(SumsOf(end, sums), With(std::move(store), workers));
}

absl::Status RunIn(const std::string& directory, int end, LastSums& sums, int workers = 1) {
  return Run(StoreInDirectory(directory), end, sums, workers);
}

// Applies a change to all partitions, as the command does.
template <class F>
void ChangeAll(RecoveryStore& store, F change) {
  const int count = store.PartitionCount().value();
  for (int index = 0; index < count; ++index) {
    auto partition = store.OpenToWrite(index, "test", false);
    REQUIRE(partition.ok());
    const PartitionContents contents = *(*partition)->ReadContents();
    PartitionChange of_partition = change(**partition, contents);
    of_partition.generation = contents.generations.back().number;
    CheckOk((*partition)->Apply(of_partition));
  }
}

uint32_t NumberOf(const PartitionContents& contents, const std::string& id) {
  for (const StoredStep& step : contents.steps) {
    if (step.id == id) return step.number;
  }
  return 0;
}

TEST_CASE("the store of another dataflow is refused") {
  auto store = std::make_shared<MemoryStore>();
  LastSums sums;
  CheckOk(Run(store, 20, sums));
  CheckError(RunMain(SumsOf(20, sums, "sum", "other"), With(store)),
             absl::StatusCode::kInvalidArgument,
             {"the recovery store in memory belongs to the dataflow 'sums'", "this one is 'other'",
              "use another store"});
}

TEST_CASE("a step that is gone is named, with the commands; renamed or dropped the run resumes") {
  for (const bool renames : {false, true}) {
    auto store = std::make_shared<MemoryStore>();
    LastSums sums;
    CheckOk(Run(store, 20, sums, 2));
    LastSums resumed;
    for (const int workers : {1, 2}) {
      CheckError(RunMain(SumsOf(40, resumed, "total"), With(store, workers)),
                 absl::StatusCode::kInvalidArgument,
                 {"state of the step 'sums.sum', which the dataflow does not have",
                  "`headway recovery rename-step`", "`headway recovery drop-step`"});
    }
    ChangeAll(*store, [&](StorePartition&, const PartitionContents& contents) {
      const uint32_t number = NumberOf(contents, "sums.sum");
      return renames ? PartitionChange{.renamed_steps = {{number, "sums.total"}}}
                     : PartitionChange{.removed_steps = {number}};
    });
    CheckOk(RunMain(SumsOf(40, resumed, "total"), With(store)));
    CHECK(resumed.get() == (renames ? Expected(40) : Expected(40, 20)));
  }
}

TEST_CASE("a step that is added starts empty, and the others resume") {
  auto store = std::make_shared<MemoryStore>();
  LastSums first;
  CheckOk(Run(store, 16, first));
  LastSums sums;
  LastSums counts;
  const Dataflow with_counts("sums", [&](Scope<>& scope) {
    auto keyed = scope.Input("numbers", TestingSource(NumbersTo(32))) |
                 KeyOn("key", [](int number) { return number % kKeys; });
    const auto into = [](LastSums& last) {
      return CallbackSink(
          [&last](const std::pair<int, int64_t>& each) { last.Set(each.first, each.second); });
    };
    keyed | StatefulMap<int64_t>("sum", [](std::optional<int64_t>& sum, int number) {
      return *(sum = sum.value_or(0) + number);
    }) | Output("out", into(sums));
    keyed | StatefulMap<int64_t>("count", [](std::optional<int64_t>& count, int) {
      return *(count = count.value_or(0) + 1);
    }) | Output("out of counts", into(counts));
  });
  CheckOk(RunMain(with_counts, With(store)));
  CHECK(sums.get() == Expected(32));
  for (const auto& [key, count] : counts.get()) CHECK(count == 2);
}

TEST_CASE("state that was written by another codec is refused, and the step is named") {
  auto store = std::make_shared<MemoryStore>();
  LastSums sums;
  CheckOk(Run(store, 20, sums));
  CheckError(RunMain(SumsOf<int32_t>(40, sums), With(store)), absl::StatusCode::kDataLoss,
             {"step 'sum'", "another version of the step, or is damaged"});
  // The store is as before.
  CheckOk(Run(store, 40, sums));
  CHECK(sums.get() == Expected(40));
}

TEST_CASE("state in a nested scope is refused") {
  Collected<int> ends;
  const Dataflow nested("nested", [&](Scope<>& scope) {
    auto numbers = scope.Input("numbers", TestingSource(NumbersTo(3)));
    scope.Iterate("rounds", [&](auto& inner) {
      auto entered = numbers | Enter(inner);
      return entered | KeyOn("key", [](int number) { return number; }) |
             StatefulMap<int>("sum", [](std::optional<int>& sum,
                                        int number) { return *(sum = sum.value_or(0) + number); }) |
             Leave(scope);
    }) | Output("out", CallbackSink([](const auto&) {}));
  });
  CheckError(RunMain(nested, With(std::make_shared<MemoryStore>())),
             absl::StatusCode::kInvalidArgument,
             {"'rounds.sum' has state and is in a nested scope", "outside of the scope"});
}

TEST_CASE("two dataflows with state in a run are refused") {
  LastSums sums;
  const absl::Status status =
      Execute({.workers = 2, .run = With(std::make_shared<MemoryStore>())},
              [&](Worker& worker) -> absl::Status {
                for (const char* name : {"first", "second"}) {
                  const Dataflow dataflow = SumsOf(20, sums, "sum", name);
                  HEADWAY_RETURN_IF_ERROR(
                      worker.Build(name, [&](Scope<>& scope) { dataflow.Build(scope); }));
                }
                return absl::OkStatus();
              });
  CheckError(status, absl::StatusCode::kInvalidArgument,
             {"another dataflow of the run has state already"});
}

TEST_CASE("a store that another run uses is refused, and its holder is named") {
  const TemporaryDirectory directory;
  LastSums sums;
  CheckOk(RunIn(directory.path(), 20, sums, 2));
  {
    auto locked = StoreInDirectory(directory.path())->OpenToWrite(1, "a run", false);
    REQUIRE(locked.ok());
    for (const int workers : {1, 2}) {
      CheckError(RunIn(directory.path(), 40, sums, workers), absl::StatusCode::kFailedPrecondition,
                 {"partition 1 of the recovery store in '" + directory.path() + "' is in use by ",
                  "a run", "wait until it ends"});
    }
  }
  CheckOk(RunIn(directory.path(), 40, sums));
  CHECK(sums.get() == Expected(40));
}

TEST_CASE("partitions that are missing, there twice, or of another store are named by a run") {
  const TemporaryDirectory directory;
  const TemporaryDirectory other;
  LastSums sums;
  CheckOk(RunIn(directory.path(), 20, sums, 2));
  CheckOk(RunIn(other.path(), 20, sums, 2));
  const std::string part = directory / "part-1.sqlite3";
  const auto refused = [&](std::initializer_list<std::string> parts) {
    CheckError(RunIn(directory.path(), 40, sums), absl::StatusCode::kInvalidArgument, parts);
  };
  std::filesystem::rename(part, directory / "aside");
  refused({"1 of the 2 partitions", "'part-1.sqlite3'", "put them there"});
  std::filesystem::copy_file(directory / "part-0.sqlite3", part);
  refused({"has partition 0 of the recovery store twice", "'part-1.sqlite3'", "remove the copy"});
  std::filesystem::remove(part);
  std::filesystem::copy_file(other / "part-1.sqlite3", part);
  refused({"partitions of different recovery stores", "'part-1.sqlite3'"});
  std::filesystem::rename(directory / "aside", part);
  CheckOk(RunIn(directory.path(), 40, sums));
  CHECK(sums.get() == Expected(40));
}

TEST_CASE("a store of a newer format is refused") {
  const TemporaryDirectory directory;
  LastSums sums;
  CheckOk(RunIn(directory.path(), 20, sums));
  {
    auto file = internal::SqliteDatabase::Open(
        directory / "part-0.sqlite3", internal::SqliteDatabase::Mode::kWrite, absl::Seconds(1));
    REQUIRE(file.ok());
    CheckOk((*file)->Execute("PRAGMA user_version=99"));
  }
  CheckError(RunIn(directory.path(), 40, sums), absl::StatusCode::kFailedPrecondition,
             {"part-0.sqlite3' has format 99", "use a newer version of Headway"});
}

TEST_CASE("copies of partitions of different ages resume at their last common epoch") {
  const TemporaryDirectory directory;
  const TemporaryDirectory copies;
  RunOptions options = With(StoreInDirectory(directory.path()), 2);
  options.recovery_config->backup_interval = absl::Hours(1);
  LastSums sums;
  CheckOk(RunMain(SumsOf(20, sums), options));
  for (const int partition : {0, 1}) {
    CAPTURE(partition);
    const std::string name = "part-" + std::to_string(partition) + ".sqlite3";
    std::filesystem::copy_file(directory / name, copies / name);
  }
  CheckOk(RunMain(SumsOf(100, sums), options));
  CheckOk(RunMain(SumsOf(140, sums), options));

  // The old copy of either partition takes the run back to the end of the first one.
  for (const int partition : {0, 1}) {
    CAPTURE(partition);
    const TemporaryDirectory mixed;
    std::filesystem::copy(directory.path(), mixed.path());
    const std::string name = "part-" + std::to_string(partition) + ".sqlite3";
    std::filesystem::copy_file(copies / name, mixed / name,
                               std::filesystem::copy_options::overwrite_existing);
    LastSums resumed;
    CheckOk(RunIn(mixed.path(), 140, resumed));
    CHECK(resumed.get() == Expected(140));

    // Beyond the backup interval, which the other partition has forgotten, it is refused.
    std::filesystem::copy(directory.path(), mixed.path(),
                          std::filesystem::copy_options::overwrite_existing);
    const std::shared_ptr<RecoveryStore> store = StoreInDirectory(mixed.path());
    for (int step = 0; step < 3; ++step) {  // a call merges the runs of one step
      ChangeAll(*store, [](StorePartition& from, const PartitionContents& contents) {
        return *internal::Compact(from, contents, contents.committed_end);
      });
    }
    std::filesystem::copy_file(copies / name, mixed / name,
                               std::filesystem::copy_options::overwrite_existing);
    CheckError(RunIn(mixed.path(), 140, resumed), absl::StatusCode::kInvalidArgument,
               {"partition " + std::to_string(partition) + " of the recovery store in '",
                "has merged the epochs up to", "restore a newer copy of partition"});
  }
}

TEST_CASE("an old copy is refused although all keys of the other partitions are gone since") {
  const TemporaryDirectory directory;
  const TemporaryDirectory copies;
  // The numbers from kKeys on erase their keys.
  const auto run = [&](int end) {
    const Dataflow dataflow("erased", [end](Scope<>& scope) {
      scope.Input("numbers", TestingSource(NumbersTo(end))) | KeyOn("key", [](int number) {
        return number % kKeys;
      }) | StatefulMap<int>("erased", [](std::optional<int>& state, int number) {
        state = number < kKeys ? std::optional(number) : std::nullopt;
        return number;
      }) | Output("out", CallbackSink([](const std::pair<int, int>&) {}));
    });
    return RunMain(dataflow, With(StoreInDirectory(directory.path()), 2));
  };
  CheckOk(run(kKeys));
  std::filesystem::copy(directory.path(), copies.path());
  CheckOk(run(2 * kKeys));
  const std::shared_ptr<RecoveryStore> store = StoreInDirectory(directory.path());
  for (int step = 0; step < 3; ++step) {
    ChangeAll(*store, [](StorePartition& from, const PartitionContents& contents) {
      return *internal::Compact(from, contents, contents.committed_end);
    });
  }
  // The state of the source, which has epochs of its own, is in one of them.
  int source = 0;
  for (int index = 0; index < 2; ++index) {
    const PartitionContents contents = *(*store->OpenToRead(index))->ReadContents();
    for (const StoredRun& each : contents.runs) {
      if (each.step == NumberOf(contents, "erased.numbers") && each.row_count > 0) source = index;
    }
  }
  const std::string name = "part-" + std::to_string(source) + ".sqlite3";
  std::filesystem::copy_file(copies / name, directory / name,
                             std::filesystem::copy_options::overwrite_existing);
  CheckError(run(2 * kKeys), absl::StatusCode::kInvalidArgument, {"has merged the epochs up to"});
}

TEST_CASE("a full disk ends a run with a sentence, and the next one loses nothing") {
  const TemporaryDirectory directory;
  LastSums sums;
  CheckOk(RunIn(directory.path(), 20, sums, 2));
  // Files may not grow beyond the limit.
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  const rlimit limit = {60'000, old_limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  const absl::Status full = RunIn(directory.path(), 4000, sums, 2);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  signal(SIGXFSZ, old_handler);
  CheckError(full, absl::StatusCode::kResourceExhausted,
             {"cannot write '" + directory.path() + "/part-", "the disk is full; make room"});
  CheckOk(RunIn(directory.path(), 500, sums));
  CHECK(sums.get() == Expected(500));
}

TEST_CASE("a directory that the run may not write is refused") {
  const TemporaryDirectory directory;
  LastSums sums;
  CheckOk(RunIn(directory.path(), 20, sums));
  std::filesystem::remove(directory / "part-0.lock");
  chmod(directory.path().c_str(), 0555);
  constexpr uid_t kNobody = 65534;
  const uid_t user = geteuid();
  if (user == 0) REQUIRE(seteuid(kNobody) == 0);
  const absl::Status status = RunIn(directory.path(), 40, sums);
  const absl::Status below = RunIn(directory / "below", 40, sums);
  if (user == 0) REQUIRE(seteuid(user) == 0);
  CheckError(status, absl::StatusCode::kPermissionDenied,
             {"cannot write the lock '" + directory.path() + "/part-0.lock'", "allow the run"});
  CheckError(below, absl::StatusCode::kPermissionDenied,
             {"cannot make '" + directory.path() + "/below'"});
}

// A program that feeds the numbers to `end` by hand, kKeys of them in each epoch, from the epoch at
// which the run resumes.
absl::Status FeedByHand(Worker& worker, int end, LastSums& sums, std::vector<Epoch>& resumed_at) {
  InputHandle<int> input;
  HEADWAY_RETURN_IF_ERROR(worker.Build("by hand", [&](Scope<>& scope) {
    scope.Input(input) | KeyOn("key", [](int number) { return number % kKeys; }) |
        StatefulMap<int64_t>("sum", [](std::optional<int64_t>& sum,
                                       int number) { return *(sum = sum.value_or(0) + number); }) |
        Inspect("collect",
                [&sums](const std::pair<int, int64_t>& sum) { sums.Set(sum.first, sum.second); });
  }));
  if (input.time() != worker.resume_epoch()) return absl::InternalError("another first epoch");
  if (worker.index() != 0) return absl::OkStatus();  // its input is closed
  resumed_at.push_back(worker.resume_epoch());
  for (int number = static_cast<int>(input.time()) * kKeys; number < end; ++number) {
    input.AdvanceTo(static_cast<Epoch>(number / kKeys));
    input.Send(number);
    HEADWAY_RETURN_IF_ERROR(worker.Step());
  }
  return absl::OkStatus();
}

TEST_CASE("a host that feeds its input by hand continues at the epoch where the run resumes") {
  auto store = std::make_shared<MemoryStore>();
  LastSums sums;
  std::vector<Epoch> resumed_at;
  int runs = 0;
  for (const int workers : {1, 2, 1}) {
    const Config config{.workers = workers, .run = With(store)};
    CheckOk(Execute(config, [&](Worker& worker) {
      return FeedByHand(worker, (runs + 1) * 3 * kKeys, sums, resumed_at);
    }));
    ++runs;
    CHECK(sums.get() == Expected(runs * 3 * kKeys));
  }
  CHECK(resumed_at == std::vector<Epoch>{0, 3, 6});
}

TEST_CASE("without recovery the resume epoch is the first epoch of the options") {
  CheckOk(Execute({.workers = 2, .run = {.first_epoch = 7}}, [](Worker& worker) {
    return worker.resume_epoch() == 7 ? absl::OkStatus() : absl::InternalError("another epoch");
  }));
}

}  // namespace
}  // namespace headway
