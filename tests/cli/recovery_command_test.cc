#include "cli/recovery_command.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "comm/codec/stable_hash.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "engine/store/store.h"
#include "headway.h"
#include "tests/temporary_directory.h"

namespace headway::cli {
namespace {

using Sum = std::pair<std::string, int64_t>;
using Sums = std::map<std::string, int64_t>;

struct Outcome {
  absl::Status status;
  std::string out;
};

// Runs `headway recovery ARGUMENTS` in this process.
Outcome Recovery(const std::vector<std::string>& arguments, const std::string& in = "") {
  const absl::StatusOr<RecoveryCommand> command = ParseRecoveryCommand(arguments);
  if (!command.ok()) return {command.status(), ""};
  Outcome outcome;
  std::vector<std::string> lines = absl::StrSplit(in, '\n');
  if (lines.back().empty()) lines.pop_back();
  size_t next = 0;
  outcome.status =
      RunRecoveryCommand(*command, {.print = [&](std::string_view text) { outcome.out += text; },
                                    .read_line = [&](std::string& line) -> absl::StatusOr<bool> {
                                      if (next == lines.size()) return false;
                                      line = lines[next++];
                                      return true;
                                    }});
  return outcome;
}

std::string Succeeds(const std::vector<std::string>& arguments, const std::string& in = "") {
  const Outcome outcome = Recovery(arguments, in);
  CHECK_MESSAGE(outcome.status.ok(), outcome.status.ToString());
  return outcome.out;
}

void CheckHas(std::string_view text, std::initializer_list<std::string> parts) {
  INFO(std::string(text));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string_view::npos);
  }
}

void CheckFails(const Outcome& outcome, absl::StatusCode code,
                std::initializer_list<std::string> parts) {
  CHECK(outcome.status.code() == code);
  const std::string message(outcome.status.message());
  CheckHas(message, parts);
}

// Runs "words", whose step `step` sums the numbers of each word: "even", "odd". Returns its
// results.
Sums RunWords(const std::string& directory, int end, const std::string& step = "sum",
              int workers = 1, const std::string& name = "words") {
  Sums sums;
  std::mutex mutex;
  std::vector<int> numbers;
  for (int i = 0; i < end; ++i) numbers.push_back(i);
  const Dataflow dataflow(name, [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(numbers)) | KeyOn("key", [](int number) -> std::string {
      return number % 2 == 0 ? "even" : "odd";
    }) | StatefulMap<int64_t>(step, [](std::optional<int64_t>& sum, int number) {
      sum = sum.value_or(0) + number;
      return *sum;
    }) | Output("out", CallbackSink([&](const auto& record) {
                  const Sum sum(record);
                  std::lock_guard lock(mutex);
                  sums[sum.first] = std::max(sums[sum.first], sum.second);
                }));
  });
  const absl::Status status =
      RunMain(dataflow, {.worker_count = workers,
                         .epoch_config = RecordCountEpochConfig{4},
                         .recovery_config = RecoveryConfig{.store = StoreInDirectory(directory)}});
  CHECK_MESSAGE(status.ok(), status.ToString());
  return sums;
}

// Applies a change to a partition, as a run or a command that is interrupted afterwards.
void Apply(const std::string& directory, int index, PartitionChange change) {
  auto partition = StoreInDirectory(directory)->OpenToWrite(index, "test", false);
  REQUIRE(partition.ok());
  change.generation = (*partition)->ReadContents()->generations.back().number;
  const absl::Status status = (*partition)->Apply(change);
  CHECK_MESSAGE(status.ok(), status.ToString());
}

uint32_t NumberOf(const std::string& directory, const std::string& id) {
  auto partition = StoreInDirectory(directory)->OpenToRead(0);
  REQUIRE(partition.ok());
  const PartitionContents contents = *(*partition)->ReadContents();
  for (const StoredStep& step : contents.steps) {
    if (step.id == id) return step.number;
  }
  return 0;
}

TEST_CASE("init makes a store once, and inspect shows that no run has used it") {
  const TemporaryDirectory parent;
  const std::string directory = parent / "a/store";
  CheckHas(Succeeds({"init", directory, "3"}), {"made the recovery store in '", "3 partitions"});
  CheckFails(Recovery({"init", directory}), absl::StatusCode::kFailedPrecondition,
             {"exists already, with 3 partitions"});
  CheckHas(Succeeds({"inspect", directory}), {"3 partitions, store id ", "no run has used it yet"});
  CheckHas(Succeeds({"verify", directory}), {"is whole: 0 runs in 3 partitions"});
  CheckFails(Recovery({"export", directory, "a.b"}), absl::StatusCode::kNotFound,
             {"has no steps yet"});
  Succeeds({"init", parent / "other"});
}

TEST_CASE("a store that does not exist is named by all commands but init") {
  const TemporaryDirectory parent;
  const std::string store = parent / "none";
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"inspect", store},
                                                    {"export", store, "a.b"},
                                                    {"import", store, "a.b"},
                                                    {"drop-step", store, "a.b"},
                                                    {"rename-step", store, "a.b", "a.c"},
                                                    {"compact", store},
                                                    {"verify", store}}) {
    CheckFails(Recovery(arguments), absl::StatusCode::kNotFound,
               {"none' does not exist", "headway recovery init"});
  }
}

TEST_CASE("inspect shows the resume epoch, the executions, the partitions and the keys of steps") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 10, "sum", 2);
  RunWords(directory.path(), 14);
  const std::string report = Succeeds({"inspect", directory.path()});
  CheckHas(report, {": 2 partitions, store id ", "as execution 3, generation 3", "words.sum",
                    "words.numbers", "generation", "resumed at epoch", "UTC"});
  bool found = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(report, '\n'))) {
    if (!line.ends_with("words.sum")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, ' ', absl::SkipEmpty());
    CHECK(cells[0] == "2");   // keys
    CHECK(cells[1] == "25");  // "even" and "odd" with their lengths, and two numbers
    found = true;
  }
  CHECK(found);
}

TEST_CASE("the exported state of a step can be changed and imported, and the next run has it") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4);
  const std::string lines = Succeeds({"export", directory.path(), "words.sum"});
  const std::string two = absl::Base64Escape(std::string("\2\0\0\0\0\0\0\0", 8));
  const std::string even =
      absl::StrFormat(R"({"hash":"%016x","key":{"string":"even"},"state":{"base64":"%s"}})",
                      StableHash(std::string("even")), two);
  CheckHas(lines, {even + "\n", R"("key":{"string":"odd"})"});
  const std::string hundred = absl::Base64Escape(std::string("\144\0\0\0\0\0\0\0", 8));
  CheckHas(Succeeds({"import", directory.path(), "words.sum"},
                    absl::StrReplaceAll(lines, {{two, hundred}})),
           {"the step 'words.sum' has the state of 2 lines now"});
  CheckHas(Succeeds({"verify", directory.path()}), {"is whole"});
  CHECK(RunWords(directory.path(), 6, "sum", 2) == Sums{{"even", 104}, {"odd", 9}});
}

TEST_CASE("all steps exported and imported make a store with another number of partitions") {
  const TemporaryDirectory parent;
  const std::string from = parent / "from";
  const std::string to = parent / "to";
  RunWords(from, 10, "sum", 2);
  Succeeds({"init", to, "5"});
  for (const std::string step : {"words.numbers", "words.sum"}) {
    const std::string lines = Succeeds({"export", from, step});
    CHECK(!lines.empty());
    Succeeds({"import", to, step}, lines);
    CHECK(Succeeds({"export", to, step}).size() == lines.size());
  }
  CheckHas(Succeeds({"inspect", to}), {": 5 partitions", "resumes at epoch 1"});
  CHECK(RunWords(to, 12) == RunWords(from, 12));
}

TEST_CASE("an import that is refused changes nothing") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4);
  const std::string lines = Succeeds({"export", directory.path(), "words.sum"});
  const auto refused = [&](const std::string& in, const std::string& message) {
    CheckFails(Recovery({"import", directory.path(), "words.sum"}, in),
               absl::StatusCode::kInvalidArgument, {message});
    CHECK(Succeeds({"export", directory.path(), "words.sum"}) == lines);
  };
  refused("", "there are no lines to import");
  refused("\n \n", "there are no lines to import");
  refused(lines + "\n{\"key\":1}\n", "line 4, column 8: expected '\"'; nothing was imported");
  refused(lines + lines, "2 lines have the hash, the key and the part of another line");
  CheckFails(Recovery({"import", directory.path(), "sum"}, lines),
             absl::StatusCode::kInvalidArgument, {"'sum' is no id of a step"});
}

TEST_CASE("a step that has another id in the dataflow is renamed, or dropped") {
  for (const bool interrupted : {false, true}) {
    for (const bool renames : {false, true}) {
      const TemporaryDirectory directory;
      RunWords(directory.path(), 4, "sum", 2);
      const uint32_t number = NumberOf(directory.path(), "words.sum");
      PartitionChange change;
      if (renames) {
        change.renamed_steps = {{number, "words.total"}};
      } else {
        change.removed_steps = {number};
      }
      // As if the command had died after its first partition.
      if (interrupted) Apply(directory.path(), 0, change);
      if (interrupted && renames) {
        CheckFails(Recovery({"export", directory.path(), "words.sum"}),
                   absl::StatusCode::kInvalidArgument, {"'words.sum'", "'words.total'"});
      }
      if (renames) {
        Succeeds({"rename-step", directory.path(), "words.sum", "words.total"});
        CHECK(RunWords(directory.path(), 6, "total") == Sums{{"even", 6}, {"odd", 9}});
      } else {
        Succeeds({"drop-step", directory.path(), "words.sum"});
        CHECK(RunWords(directory.path(), 6, "total") == Sums{{"even", 4}, {"odd", 5}});
      }
      CheckFails(Recovery({"drop-step", directory.path(), "words.sum"}),
                 absl::StatusCode::kNotFound,
                 {"has no step 'words.sum'; its steps are 'words.numbers', ", "'words.total'"});
    }
  }
}

TEST_CASE("a step is not renamed to one that exists, nor to a text that is no id of a step") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4);
  CheckFails(Recovery({"rename-step", directory.path(), "words.sum", "words.numbers"}),
             absl::StatusCode::kFailedPrecondition, {"has a step 'words.numbers' already"});
  for (const std::string id : {"total", ".total", "words.", ""}) {
    CheckFails(Recovery({"rename-step", directory.path(), "words.sum", id}),
               absl::StatusCode::kInvalidArgument, {"'" + id + "' is no id of a step"});
  }
}

TEST_CASE("a dataflow with another name continues the steps that were renamed") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4);
  for (const std::string step : {"numbers", "sum", "out"}) {
    if (NumberOf(directory.path(), "words." + step) == 0) continue;
    Succeeds({"rename-step", directory.path(), "words." + step, "counts." + step});
  }
  CHECK(RunWords(directory.path(), 6, "sum", 1, "counts") == Sums{{"even", 6}, {"odd", 9}});
}

TEST_CASE("compact leaves one run of each step, with the same state") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 7, "sum", 2);
  const std::string lines = Succeeds({"export", directory.path(), "words.sum"});
  Succeeds({"compact", directory.path()});
  CHECK(Succeeds({"export", directory.path(), "words.sum"}) == lines);
  for (int index = 0; index < 2; ++index) {
    auto partition = StoreInDirectory(directory.path())->OpenToRead(index);
    REQUIRE(partition.ok());
    std::set<uint32_t> steps;
    const PartitionContents contents = *(*partition)->ReadContents();
    for (const StoredRun& run : contents.runs) {
      CHECK(run.is_base);
      CHECK(steps.insert(run.step).second);
    }
  }
  CheckHas(Succeeds({"verify", directory.path()}), {"is whole"});
  Succeeds({"compact", directory.path()});
  CHECK(RunWords(directory.path(), 9) == Sums{{"odd", 16}, {"even", 20}});
}

TEST_CASE("verify names each fault of a store") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4, "sum", 2);
  const uint32_t sum = NumberOf(directory.path(), "words.sum");
  const auto rows = [](const std::vector<internal::StateRow>& of) {
    std::string buffer;
    for (const internal::StateRow& row : of) internal::AppendRow(row, buffer);
    return *internal::BlocksOf({buffer});
  };
  const auto run_of = [](uint32_t step, Epoch epoch, std::vector<StoredBlock> blocks) {
    PartitionChange::NewRun run{{.step = step, .first_epoch = epoch, .last_epoch = epoch},
                                std::move(blocks)};
    for (const StoredBlock& block : run.blocks) {
      run.run.row_count += block.row_count;
      run.run.byte_count += block.bytes.size();
    }
    return run;
  };
  const auto check = [&](PartitionChange::NewRun run, const std::string& fault) {
    const TemporaryDirectory copy;
    std::filesystem::copy(directory.path(), copy.path(), std::filesystem::copy_options::recursive);
    CheckHas(Succeeds({"verify", copy.path()}), {"is whole"});
    Apply(copy.path(), 0, {.new_runs = {std::move(run)}});
    CheckFails(Recovery({"verify", copy.path()}), absl::StatusCode::kDataLoss,
               {"partition 0 of the recovery store in '" + copy.path() + "'", fault});
  };
  const std::vector<StoredBlock> good = rows({{.hash = 7, .key = "k", .state = "s"}});
  check(run_of(99, 0, good), "it is of step number 99, unknown");
  check(run_of(sum, 1'000'000, rows({{.hash = ~uint64_t{0}, .key = "k", .state = "s"}})),
        "a row with the hash ffffffffffffffff is of another partition");
  std::vector<StoredBlock> flipped = good;
  flipped[0].bytes.back() ^= 1;
  check(run_of(sum, 1'000'000, flipped), "block 0: ");
  std::vector<StoredBlock> moved = good;
  moved[0].first_hash = 6;
  check(run_of(sum, 1'000'000, moved), "its range of hashes, differs");
  PartitionChange::NewRun short_run = run_of(sum, 1'000'000, good);
  short_run.run.row_count = 2;
  check(short_run, "it has 1 rows in ");
  std::vector<StoredBlock> twice = good;
  twice.push_back(good[0]);
  check(run_of(sum, 1'000'000, twice), "block 1: its rows are not in order");
  PartitionChange::NewRun wide = run_of(sum, 0, good);
  wide.run.last_epoch = 1'000'000;
  check(wide, "overlap");
  PartitionChange::NewRun base = run_of(sum, 1'000'000, rows({{.hash = 7, .key = "k"}}));
  base.run.is_base = true;
  check(base, "it has a tombstone, and is of a base");
}

TEST_CASE("commands that change a store wait for nobody, and refuse one that is in use") {
  const TemporaryDirectory directory;
  RunWords(directory.path(), 4, "sum", 2);
  const std::string lines = Succeeds({"export", directory.path(), "words.sum"});
  auto locked = StoreInDirectory(directory.path())->OpenToWrite(1, "a run", false);
  REQUIRE(locked.ok());
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"import", directory.path(), "words.sum"},
        {"drop-step", directory.path(), "words.sum"},
        {"rename-step", directory.path(), "words.sum", "words.total"},
        {"compact", directory.path()}}) {
    CheckFails(Recovery(arguments, lines), absl::StatusCode::kFailedPrecondition,
               {"partition 1 of ", "is in use by process ", "a run"});
  }
  Succeeds({"inspect", directory.path()});
  Succeeds({"verify", directory.path()});
  CHECK(Succeeds({"export", directory.path(), "words.sum"}) == lines);
}

TEST_CASE("arguments that cannot be understood are answered with the usage") {
  const auto refused = [](const std::vector<std::string>& arguments,
                          std::initializer_list<std::string> parts) {
    const absl::Status status = ParseRecoveryCommand(arguments).status();
    CHECK(absl::IsInvalidArgument(status));
    CheckHas(std::string(status.message()), {"usage: headway recovery"});
    CheckHas(std::string(status.message()), parts);
  };
  refused({}, {"no command is given"});
  refused({"walk"}, {"unknown command 'recovery walk'"});
  refused({"inspect"}, {"no store is given", "usage: headway recovery inspect STORE\n"});
  refused({"export", "d"}, {"an argument is missing", "export STORE STEP\n"});
  refused({"rename-step", "d", "a.b"}, {"an argument is missing", "rename-step STORE OLD NEW\n"});
  refused({"inspect", "d", "e"}, {"too many arguments"});
  refused({"inspect", "d", "--all"}, {"unknown flag '--all'"});
  for (const std::string number : {"0", "x", "4097", "1.5", ""}) {
    refused({"init", "d", number}, {"from 1 to 4096, not '" + number + "'"});
  }
  CHECK(ParseRecoveryCommand({"inspect", "--", "-d"})->store == "-d");
}

TEST_CASE("each command has its help") {
  CheckHas(Succeeds({"--help"}),
           {"usage: headway recovery COMMAND STORE", "rename-step  OLD NEW  gives"});
  for (const std::string name :
       {"init", "inspect", "export", "import", "drop-step", "rename-step", "compact", "verify"}) {
    CheckHas(Succeeds({name, "--help"}), {"usage: headway recovery " + name + " STORE"});
  }
}

}  // namespace
}  // namespace headway::cli
