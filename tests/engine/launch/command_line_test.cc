#include "engine/launch/command_line.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/launch/run_from_args.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using Arguments = std::vector<std::string>;

// Parses the arguments of a program that is called with them.
absl::Status Parse(CommandLine& line, Arguments arguments) {
  arguments.insert(arguments.begin(), "program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return line.Parse(static_cast<int>(argv.size()), argv.data());
}

// Parses one flag `--value` of type Value.
template <class Value>
absl::Status ParseValue(const std::string& text, Value& value) {
  CommandLine line("program");
  line.AddFlag("value", &value, "the value");
  return Parse(line, {"--value", text});
}

TEST_CASE("a program has flags and arguments of its own among those of its run") {
  int64_t count = 1;
  bool quiet = false;
  std::string name = "none";
  CommandLine line("program FILE...");
  line.AddFlag("count", &count, "how many");
  line.AddFlag("q", &quiet, "print less");
  line.AddFlag("name", &name, "whose");
  CheckOk(Parse(line, {"a.txt", "--count=7", "-w3", "-q", "--name", "b", "-2", "--", "--count"}));
  CHECK(count == 7);
  CHECK(quiet);
  CHECK(name == "b");
  CHECK(line.arguments() == Arguments{"a.txt", "-2", "--count"});
  int built = 0;
  CheckOk(line.Execute([&](Worker& worker) {
    if (worker.index() == 0) built = worker.count();
    return absl::OkStatus();
  }));
  CHECK(built == 3);
}

TEST_CASE("the value of a flag is read as the type of its variable") {
  int8_t small = 0;
  CheckOk(ParseValue("-128", small));
  CHECK(small == -128);
  CheckError(ParseValue("128", small), absl::StatusCode::kInvalidArgument,
             {"--value: '128'", "from -128 to 127"});
  uint64_t natural = 0;
  CheckOk(ParseValue("9223372036854775807", natural));
  CHECK(natural == 9223372036854775807);
  CheckError(ParseValue("-1", natural), absl::StatusCode::kInvalidArgument, {"from 0 to"});
  double real = 0;
  CheckOk(ParseValue("-2.5e3", real));
  CHECK(real == -2500);
  CheckError(ParseValue("2,5", real), absl::StatusCode::kInvalidArgument, {"not a number"});
  absl::Duration duration;
  CheckOk(ParseValue("1m30s", duration));
  CHECK(duration == absl::Seconds(90));
  CheckError(ParseValue("90", duration), absl::StatusCode::kInvalidArgument, {"10s"});
}

TEST_CASE(
    "help shows the usage of the program, its flags with their defaults, and those of the run") {
  int64_t count = 7;
  double factor = 0.1;
  absl::Duration wait = absl::Seconds(5);
  CommandLine line("program FILE...\n\nCounts them.", {.worker_count = 2});
  line.AddFlag("count", &count, "how many");
  line.AddFlag("factor", &factor, "how much");
  line.AddFlag("wait", &wait, "how long");
  const absl::Status help = Parse(line, {"--nonsense", "--help"});
  CHECK(ExitCode(help) == 0);
  CheckError(help, absl::StatusCode::kCancelled,
             {"usage: program FILE...\n\nCounts them.\n", "--count N\n      how many (7)\n",
              "how much (0.1)", "how long (5s)", "run the dataflow (2)", "--peer-timeout"});
}

TEST_CASE("wrong flags and wrong arguments are usage errors that show the program's usage") {
  CommandLine line("program FILE...\n\nCounts them.");
  for (const absl::Status& status :
       {Parse(line, {"--nonsense"}), Parse(line, {"-w0"}), line.UsageError("no file is given")}) {
    CHECK(ExitCode(status) == 2);
    CheckError(status, absl::StatusCode::kInvalidArgument, {"\nusage: program FILE...; --help"});
    CHECK(std::string(status.message()).find("Counts them") == std::string::npos);
  }
}

TEST_CASE("a flag of the program that exists already, or cannot be given, is a mistake in it") {
  int64_t value = 0;
  for (const auto& [names, why] : std::initializer_list<std::pair<Arguments, std::string>>{
           {{"twice", "twice"}, "'--twice' was added to the command line, but it was added twice"},
           {{"processes"}, "a flag of every run"},
           {{"w"}, "a flag of every run"},
           {{"help"}, "a flag of every run"},
           {{"--name"}, "begins with '-'"},
           {{"a=b"}, "contains '='"},
           {{""}, "empty"}}) {
    CommandLine line("program");
    for (const std::string& name : names) line.AddFlag(name, &value, "");
    CheckError(Parse(line, {}), absl::StatusCode::kFailedPrecondition, {why});
  }
}

}  // namespace
}  // namespace headway
