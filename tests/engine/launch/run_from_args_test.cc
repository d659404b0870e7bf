#include "engine/launch/run_from_args.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "engine/launch/run_flags.h"
#include "tests/descriptor_limit.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/launch/terminal.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

absl::Status Run(const Dataflow& flow, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return RunFromArgs(flow, static_cast<int>(argv.size()), argv.data());
}

TEST_CASE("flags decide how many workers and processes run, and each worker takes part") {
  for (const auto& [arguments, workers] : {std::pair<std::vector<std::string>, int>{{}, 1},
                                           {{"-w3"}, 3},
                                           {{"-p2", "-w2"}, 4},
                                           {{"-p1"}, 1}}) {
    Pipe sources;
    const Dataflow flow("sources", [&](Scope<>& scope) {
      sources.Write('x');
      scope.Input("numbers", NumbersOfEachWorker(1)) | Inspect("look", [](int64_t) {});
    });
    CheckOk(Run(flow, arguments));
    sources.in.Close();
    char built[16];
    CHECK(read(sources.out.get(), built, sizeof built) == workers);
  }
}

TEST_CASE("the exit code tells success and help, failures and wrong flags apart") {
  const Dataflow flow("none", [](Scope<>&) {});
  const Dataflow failing("failing", [](Scope<>&) { throw 1; });
  CHECK(ExitCode(Run(flow, {})) == 0);
  CHECK(ExitCode(Run(failing, {})) == 1);
  CHECK(ExitCode(absl::InvalidArgumentError("of the run")) == 1);
  CHECK(ExitCode(Run(flow, {"-w0"})) == 2);
  const absl::Status help = Run(failing, {"--help"});
  CHECK(ExitCode(help) == 0);
  CheckError(help, absl::StatusCode::kCancelled, {"'failing'", internal::RunFlagsHelp()});
}

TEST_CASE("a file with the secret that cannot be read, or holds none, is a usage error") {
  const Dataflow flow("none", [](Scope<>&) {});
  const absl::Status missing = Run(flow, {"--secret-file=/no/such/file"});
  CheckError(missing, absl::StatusCode::kInvalidArgument, {"/no/such/file", "No such file"});
  CHECK(ExitCode(missing) == 2);
  CheckError(Run(flow, {"--secret-file=/dev/null"}), absl::StatusCode::kInvalidArgument,
             {"/dev/null", "no secret"});
  CheckError(Run(flow, {"--secret-file=/"}), absl::StatusCode::kInvalidArgument,
             {"'/'", "not a file that can be read"});
  CheckError(Run(flow, {"--secret-file=/dev/zero"}), absl::StatusCode::kInvalidArgument,
             {"/dev/zero", "longer than 4096 bytes"});
}

TEST_CASE("a program that runs from its arguments shows its status on a terminal") {
  AdoptOrphans();
  for (const std::string where : {"-w2", "-p2"}) {
    Terminal terminal;
    const pid_t program = StartProgram([&] {
      dup2(terminal.end.get(), STDERR_FILENO);
      std::atomic<int64_t> emitted{0};
      const Dataflow flow("numbers", [&](Scope<>& scope) {
        scope.Input("numbers", Endless(&emitted, [](int, int64_t) {}));
      });
      Run(flow, {where}).IgnoreError();
    });
    const std::string shown = terminal.ReadUntil("lag 0.0s");
    CHECK(shown.starts_with(where == "-p2" ? "\r\x1b[Kprocess 0: epoch " : "\r\x1b[Kepoch "));
    kill(program, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  }
}

TEST_CASE("a descriptor that becomes readable stops a run in this process") {
  Pipe stop;
  const Dataflow flow("numbers", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(INT64_MAX)) | Inspect("stop", [&](int64_t x) {
      if (x == 100) stop.Write('x');
    });
  });
  CheckOk(internal::RunWithFlags(flow, {.workers_per_process = 2}, stop.out.get()));
}

TEST_CASE("a run that cannot listen for a stop does not begin") {
  Pipe stop;
  const Dataflow flow("none", [](Scope<>&) { FAIL("it was built"); });
  const DescriptorLimit limit(0);
  CheckError(internal::RunWithFlags(flow, {}, stop.out.get()), absl::StatusCode::kResourceExhausted,
             {"request to stop", "ulimit -n"});
}

}  // namespace
}  // namespace headway
