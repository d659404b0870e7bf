// The command as a user runs it. HEADWAY_TEST_COMMAND is its file, HEADWAY_TEST_LIBRARIES the
// folder with the shared libraries of libraries/*.cc.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/runtime/version.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/launch/terminal.h"
#include "tests/temporary_directory.h"

namespace headway::cli {
namespace {

using internal::FileDescriptor;

const std::string kLibraries = HEADWAY_TEST_LIBRARIES;
const std::string kGetters = kLibraries + "/libgetters.so";

struct Result {
  int exit_code = -1;
  int signal = 0;  // that ended it
  std::string out;
  std::string error;
};

std::string ReadAll(const FileDescriptor& descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t count; (count = read(descriptor.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

// The command while it runs.
class Command {
 public:
  struct Setting {
    std::map<std::string, std::string> environment = {};
    int terminal = -1;          // its standard error output, unless it is -1
    std::string redirect = {};  // of descriptors, by a shell
    std::string prefix = {};    // a command that starts it
  };
  explicit Command(std::vector<std::string> arguments) : Command({}, std::move(arguments)) {}
  Command(const Setting& setting, std::vector<std::string> arguments) {
    const std::string script = "exec " + setting.prefix + " \"$0\" \"$@\" " + setting.redirect;
    arguments.insert(arguments.begin(), {"sh", "-c", script, HEADWAY_TEST_COMMAND});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    Pipe out, error;
    pid_ = StartProgram([&] {
      dup2(out.in.get(), STDOUT_FILENO);
      dup2(setting.terminal < 0 ? error.in.get() : setting.terminal, STDERR_FILENO);
      for (const FileDescriptor* end : {&out.in, &out.out, &error.in, &error.out}) {
        close(end->get());
      }
      for (const auto& [name, value] : setting.environment) setenv(name.c_str(), value.c_str(), 1);
      execvp(argv[0], argv.data());
      _exit(127);
    });
    out_ = std::move(out.out);
    error_ = std::move(error.out);
  }

  // Waits until it has printed so many bytes.
  std::string Read(size_t count) {
    std::string text;
    while (text.size() < count) {
      pollfd readable = {out_.get(), POLLIN, 0};
      REQUIRE(poll(&readable, 1, kGiveUpMs) == 1);
      char byte;
      REQUIRE(read(out_.get(), &byte, 1) == 1);
      text += byte;
    }
    return text;
  }
  void CloseOutput() { out_.Close(); }
  void Signal(int number) { kill(pid_, number); }
  // As a terminal does it.
  void SignalGroup(int number) { kill(-pid_, number); }

  Result Wait() {
    Result result;
    result.out = ReadAll(out_);
    result.error = ReadAll(error_);
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    return result;
  }

 private:
  pid_t pid_;
  FileDescriptor out_;
  FileDescriptor error_;
};

Result Run(std::vector<std::string> arguments,
           const std::map<std::string, std::string>& environment = {}) {
  arguments.insert(arguments.begin(), "run");
  return Command({.environment = environment}, std::move(arguments)).Wait();
}

// The same with descriptors as a shell sets them: `redirect` is in its language.
Result RunWith(const std::string& redirect, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "run");
  return Command({.redirect = redirect}, std::move(arguments)).Wait();
}

std::string SortedLines(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, "\n") + (lines.empty() ? "" : "\n");
}

void CheckOutput(const Result& result, const std::string& out) {
  CHECK_MESSAGE(result.exit_code == 0, result.error);
  CHECK(SortedLines(result.out) == out);
  CHECK(result.error.empty());
}

void CheckFails(const Result& result, int exit_code, std::initializer_list<std::string> parts) {
  INFO(result.error);
  CHECK(result.exit_code == exit_code);
  CHECK(result.error.starts_with("headway: "));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(result.error.find(part) != std::string::npos);
  }
}

TEST_CASE("the default getter of a library runs, in this process and in others") {
  CheckOutput(Run({kGetters}), "1\n2\n3\n");
  CheckOutput(Run({kGetters + ":flow", "-w3"}), "1\n2\n3\n");
  CheckOutput(Run({kGetters, "-p", "2", "-w2"}), "1\n2\n3\n");
  CheckOutput(Run({kGetters}, {{"HEADWAY_PROCESSES", "2"}}), "1\n2\n3\n");
}

TEST_CASE("a getter that is a function gets its arguments") {
  CheckOutput(Run({kGetters + ":Echo('a\\tb', -128, 7, 1.5, true)"}),
              "<a\tb> -128 7 1.500000 true\n");
  CheckOutput(Run({kGetters + ":Echo(\"\", 127, 0, 2, false)", "-p2"}),
              "<> 127 0 2.000000 false\n");
}

TEST_CASE("arguments that do not fit the getter are usage errors that say what does") {
  CheckFails(Run({kGetters + ":Echo('a')"}), 2,
             {"Echo(string, int8, uint64, number, bool) takes 5 arguments, not 1"});
  CheckFails(Run({kGetters + ":flow(1)"}), 2, {"flow takes 0 arguments, not 1"});
  CheckFails(Run({kGetters + ":Echo(1, 1, 1, 1, true)"}), 2,
             {"argument 1 of Echo", "a string in quotes, not 1"});
  CheckFails(Run({kGetters + ":Echo('', 128, 1, 1, true)"}), 2,
             {"argument 2 of Echo", "from -128 to 127, not 128"});
  CheckFails(Run({kGetters + ":Echo('', 1, -1, 1, true)"}), 2,
             {"argument 3 of Echo", "from 0 to", "not -1"});
  CheckFails(Run({kGetters + ":Echo('', 1, 1, 'x', true)"}), 2,
             {"argument 4 of Echo", "a number, not 'x'"});
  CheckFails(Run({kGetters + ":Echo('', 1, 1, 1, 1)"}), 2,
             {"argument 5 of Echo", "true or false, not 1"});
}

TEST_CASE("a library that cannot be used is a usage error that says why") {
  CheckFails(Run({"no/such.so"}), 2, {"'no/such.so'", "No such file"});
  CheckFails(Run({"/etc/passwd"}), 2, {"'/etc/passwd'", "shared library"});
  CheckFails(Run({kLibraries + "/libno_exports.so"}), 2,
             {"exports no dataflow", "HEADWAY_EXPORT_DATAFLOW(flow);"});
  CheckFails(Run({kLibraries + "/libother_version.so"}), 2,
             {"was built with Headway 0.0.1", std::string("Headway ") + Version()});
  CheckFails(Run({kGetters + ":nothing"}), 2,
             {"exports no dataflow 'nothing'", "\n  flow\n",
              "\n  Echo(string, int8, uint64, number, bool)\n", "\n  Refuses()\n"});
  CheckFails(Run({kGetters + ":flow("}), 2, {"expected a number", "^"});
}

TEST_CASE("a run that fails is told, with exit code 1") {
  CheckFails(Run({kGetters + ":Refuses"}), 1, {"nothing to run here"});
  CheckFails(Run({kGetters + ":Throws"}), 1, {"getter Throws threw: out of luck"});
  CheckFails(Run({kGetters + ":Dies", "-p2"}), 1, {"ended without a result", "exit code 7"});
}

TEST_CASE("a failure is told once, however many processes see it") {
  for (const std::string flag : {"-w2", "-p1", "-p3"}) {
    const Result result = Run({kGetters + ":Fails", flag});
    CheckFails(result, 1, {"step 'fails'", R"(out of order\x0a\x1b[31mand red)"});
    CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
  }
}

TEST_CASE("lines of several processes that print into one pipe or file do not mix") {
  constexpr int64_t kLines = 50'000;  // of each worker: many times the size of one write
  std::string expected;
  for (int64_t i = 0; i < 4 * kLines; ++i) expected += "<" + std::to_string(i) + ">\n";
  expected = SortedLines(expected);
  const std::string lines = kGetters + ":Lines(" + std::to_string(kLines) + ")";
  CheckOutput(Run({lines, "-p2", "-w2"}), expected);
  const FileDescriptor file(memfd_create("lines", 0));
  const std::string into_file = absl::StrFormat(">/proc/self/fd/%d", file.get());
  Result result = RunWith(into_file, {lines, "-p2", "-w2"});
  result.out = ReadAll(file);
  CheckOutput(result, expected);
}

TEST_CASE("output that does not reach its place is a failure") {
  for (const std::string flag : {"-w1", "-w2", "-p1", "-p2"}) {
    for (const std::string getter : {":flow", ":Prints(false)", ":Prints(true)"}) {
      for (const std::string output : {">/dev/full", ">&-", ">&- <&-"}) {
        CAPTURE(flag + getter + output);
        const Result result = RunWith(output, {kGetters + getter, flag});
        CheckFails(result, 1,
                   {getter == ":Prints(true)" ? "an earlier write failed"
                    : output == ">/dev/full"  ? "No space left"
                                              : "Bad file descriptor"});
        CHECK(std::count(result.error.begin(), result.error.end(), '\n') == 1);
      }
    }
  }
  for (const std::string closed : {"<&-", "2>&-"}) {
    CheckOutput(RunWith(closed, {kGetters, "-p2"}), "1\n2\n3\n");
  }
}

TEST_CASE("output that nobody reads ends the command by SIGPIPE, without a word") {
  for (const std::string flag : {"-w2", "-p1", "-p3"}) {
    CAPTURE(flag);
    Command command({"run", kGetters + ":Lines(50000)", flag});
    command.Read(1);
    command.CloseOutput();
    const Result result = command.Wait();
    CHECK(result.signal == SIGPIPE);
    CHECK(result.error.empty());
  }
}

TEST_CASE("the library is the one word among the flags, and a word after two dashes") {
  CheckOutput(Run({"-w2", kGetters, "-p1"}), "1\n2\n3\n");
  CheckOutput(Run({"-w2", "--", kGetters}), "1\n2\n3\n");
  CheckFails(Run({kGetters, "-5"}), 2, {"unknown argument '-5'"});
  CheckFails(Run({"--", "-w2"}), 2, {"'-w2'", "No such file"});
}

TEST_CASE("flags that are wrong are usage errors, whatever the library") {
  CheckFails(Run({"no/such.so", "-w0"}), 2, {"-w/--workers-per-process: '0'"});
  CheckFails(Run({"-w1"}), 2, {"no library is given", "usage: headway run"});
  CheckFails(Run({}), 2, {"no library is given"});
  CheckFails(Command({}).Wait(), 2, {"no command is given", "usage: headway run"});
  CheckFails(Command({"walk"}).Wait(), 2, {"unknown command 'walk'"});
}

TEST_CASE("help and the version are printed to standard output") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"run", "--help"}, {"run", "no/such.so", "-h"}}) {
    const Result result = Command(arguments).Wait();
    CHECK(result.exit_code == 0);
    CHECK(result.out.starts_with("usage: headway run"));
    CHECK(result.out.find("--workers-per-process") != std::string::npos);
    CHECK(result.error.empty());
  }
  CHECK(Command({"--version"}).Wait().out == std::string("headway ") + Version() + "\n");
}

TEST_CASE("recovery commands look after the store of a run, and exit with 0, 1 or 2") {
  const TemporaryDirectory directory;
  const std::string& store = directory.path();
  const auto recovery = [](const std::string& redirect, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "recovery");
    return Command({.redirect = redirect}, std::move(arguments)).Wait();
  };
  CHECK(recovery("", {"init", store, "2"}).exit_code == 0);
  CheckOutput(Run({kGetters, "-r", store, "-w2"}), "1\n2\n3\n");
  CheckOutput(Run({kGetters, "-r", store}), "");
  const Result report = recovery("", {"inspect", store});
  CHECK_MESSAGE(report.exit_code == 0, report.error);
  const std::string step = "flow.numbers";
  CHECK(report.out.find(" " + step + "\n") != std::string::npos);

  const std::string lines = directory / "lines";
  CHECK(recovery("> " + lines, {"export", store, step}).exit_code == 0);
  CHECK(recovery("< " + lines, {"import", store, step}).exit_code == 0);
  CHECK(recovery("", {"verify", store}).exit_code == 0);
  CheckFails(recovery("<&-", {"import", store, step}), 1, {"cannot read standard input"});
  CheckFails(recovery("> /dev/full", {"export", store, step}), 1, {"No space left"});
  CheckFails(recovery("", {"export", store, "no.step"}), 1, {"has no step 'no.step'", step});
  CheckFails(recovery("", {"inspect", directory / "none"}), 1, {"does not exist"});
  CheckFails(recovery("", {"export", store}), 2, {"an argument is missing", "usage: "});
  CHECK(recovery("", {"--help"}).out.starts_with("usage: headway recovery"));
}

TEST_CASE("a signal of the terminal, or to the command alone, stops a run gracefully") {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"-w2"}, {"-p2"}, {"-p2", "-w2"}}) {
    for (const int number : {SIGINT, SIGTERM}) {
      for (const bool whole_group : {false, true}) {
        std::vector<std::string> arguments = {"run", kGetters + ":Endless"};
        arguments.insert(arguments.end(), flags.begin(), flags.end());
        Command command(arguments);
        CHECK(command.Read(6) == "begun\n");
        whole_group ? command.SignalGroup(number) : command.Signal(number);
        const Result result = command.Wait();
        CHECK_MESSAGE(result.exit_code == 0, result.error);
        CHECK(result.error.empty());
      }
    }
  }
}

TEST_CASE("on a terminal a run shows its status, until it ends") {
  for (const std::string flag : {"-w2", "-p2"}) {
    Terminal terminal;
    Command command({.terminal = terminal.end.get()}, {"run", kGetters + ":Endless", flag});
    const std::string shown = terminal.ReadUntil("lag ");
    for (const char* part : {"epoch ", " records/s | ", " in flight | "}) {
      CHECK_MESSAGE(shown.find(part) != std::string::npos, shown);
    }
    terminal.ReadUntil("lag ");
    command.Signal(SIGINT);
    CHECK(command.Wait().exit_code == 0);
    CHECK(terminal.ReadRest().ends_with("\r\x1b[K"));
  }
}

TEST_CASE("a second signal ends a run at once, and no process is left") {
  AdoptOrphans();
  for (const std::string flag : {"-w1", "-p2"}) {
    Command command({"run", kGetters + ":Stuck", flag});
    CHECK(command.Read(6) == "begun\n");
    command.SignalGroup(SIGINT);
    command.SignalGroup(SIGTERM);
    CHECK(command.Wait().signal != 0);  // and its output ends: no child holds it
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }
}

TEST_CASE("as process 1 of a container, a run ends with the second signal too") {
  const std::string container = "unshare --user --map-root-user --pid --fork --kill-child";
  if (std::system((container + " true 2> /dev/null").c_str()) != 0) {
    MESSAGE("skipped, as this needs a namespace of processes");
    return;
  }
  for (const int number : {SIGINT, SIGTERM}) {
    for (const std::string flag : {"-w1", "-p2"}) {
      Command command({.prefix = container}, {"run", kGetters + ":Stuck", flag});
      CHECK(command.Read(6) == "begun\n");
      command.SignalGroup(number == SIGINT ? SIGTERM : SIGINT);
      command.SignalGroup(number);
      // If both are pending when the process runs, either may be the second one.
      const int exit_code = command.Wait().exit_code;
      CHECK((exit_code == 128 + SIGINT || exit_code == 128 + SIGTERM));
    }
  }
}

}  // namespace
}  // namespace headway::cli
