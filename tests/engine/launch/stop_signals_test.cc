// SIGINT and SIGTERM stop a run gracefully if its options say so; a second one ends the process.
#include "engine/runtime/stop_signals.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "engine/launch/run_from_args.h"
#include "tests/engine/launch/process_harness.h"
#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

// Counters in memory that a program and its processes share with the test.
struct Counts {
  std::atomic<int64_t> emitted{0};
  std::atomic<int64_t> written{0};
};

class SharedCounts {
 public:
  SharedCounts()
      : memory_(mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
    new (memory_) Counts;
  }
  ~SharedCounts() { munmap(memory_, sizeof(Counts)); }
  Counts* operator->() const { return static_cast<Counts*>(memory_); }

 private:
  void* const memory_;
};

int ExitStatus(pid_t program) {
  int status = 0;
  REQUIRE(waitpid(program, &status, 0) == program);
  return status;
}

// Runs a dataflow as the main of a program does.
int Main(const Dataflow& flow, std::vector<std::string> arguments, const RunOptions& options) {
  arguments.insert(arguments.begin(), "program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return ExitCode(RunFromArgs(flow, static_cast<int>(argv.size()), argv.data(), options));
}

TEST_CASE("a signal stops a program gracefully, and every record that was emitted is written") {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{}, {"-w3"}, {"-p1"}, {"-p2", "-w2"}}) {
    for (const int number : {SIGINT, SIGTERM}) {
      for (const bool whole_group : {false, true}) {
        CAPTURE(flags.size());
        SharedCounts counts;
        Pipe begun;
        const pid_t program = StartProgram([&] {
          const Dataflow flow("numbers", [&](Scope<>& scope) {
            scope.Input("numbers", Endless(&counts->emitted, [](int, int64_t) {})) |
                Exchange("spread") | Inspect("write", [&](int64_t) {
                  if (++counts->written == 10'000) begun.Write('x');
                });
          });
          _exit(Main(flow, flags, {.stop_on_signals = true}));
        });
        begun.Read<char>();
        kill(whole_group ? -program : program, number);
        const int status = ExitStatus(program);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
        CHECK(counts->written == counts->emitted);
      }
    }
  }
}

TEST_CASE("a second signal ends a program whose step does not return, and its processes") {
  AdoptOrphans();
  for (const std::string flags : {"-w1", "-p2"}) {
    Pipe begun;
    const pid_t program = StartProgram([&] {
      const Dataflow flow("stuck", [&](Scope<>& scope) {
        scope.Input("numbers", TestingSource(std::vector{1})) | Inspect("stuck", [&](int) {
          begun.Write('x');
          while (true) pause();
        });
      });
      _exit(Main(flow, {flags}, {.stop_on_signals = true}));
    });
    begun.Read<char>();
    kill(program, SIGINT);
    kill(program, SIGTERM);
    const int status = ExitStatus(program);
    CHECK(WIFSIGNALED(status));
    while (waitpid(-1, nullptr, 0) > 0) {  // its children are gone: the test would hang otherwise
    }
  }
}

TEST_CASE("a stop that a signal handler of the program requests is a graceful one") {
  static StopHandle stop;
  SharedCounts counts;
  Pipe begun;
  const pid_t program = StartProgram([&] {
    signal(SIGINT, [](int) { stop.RequestStop(); });
    const Dataflow flow("numbers", [&](Scope<>& scope) {
      scope.Input("numbers", Endless(&counts->emitted, [](int, int64_t) {})) | Exchange("spread") |
          Inspect("write", [&](int64_t) {
            if (++counts->written == 10'000) begun.Write('x');
          });
    });
    _exit(ExitCode(RunMain(flow, {.worker_count = 2, .stop = stop})));
  });
  begun.Read<char>();
  kill(program, SIGINT);
  const int status = ExitStatus(program);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(counts->written == counts->emitted);
}

std::atomic<int> handled = 0;

TEST_CASE(
    "the handlers of a program are in place before and after a run, and what it ignores stays") {
  const pid_t program = StartProgram([] {
    signal(SIGINT, [](int) { ++handled; });
    signal(SIGTERM, SIG_IGN);
    StopHandle stop;
    raise(SIGINT);
    bool stopped_by_ignored = true;
    {
      const internal::StopOnSignals first(stop);
      const internal::StopOnSignals second(stop);
      raise(SIGTERM);
      stopped_by_ignored = stop.requested();
      raise(SIGINT);
    }
    raise(SIGINT);
    StopHandle next;
    bool stopped_next = false;
    {
      const internal::StopOnSignals again(next);
      raise(SIGINT);  // the first one of this run
      stopped_next = next.requested();
    }
    _exit(handled == 2 && stop.requested() && !stopped_by_ignored && stopped_next ? 0 : 1);
  });
  const int status = ExitStatus(program);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("one signal stops every run of the process") {
  Pipe begun;
  const pid_t program = StartProgram([&] {
    const auto run = [&] {
      const Dataflow flow("silent", [&](Scope<>& scope) {
        begun.Write('x');
        scope.Input("silent", Silent());
      });
      if (!RunMain(flow, {.stop_on_signals = true}).ok()) _exit(1);
    };
    std::thread other(run);
    run();
    other.join();
  });
  begun.Read<char>();
  begun.Read<char>();
  kill(program, SIGTERM);
  const int status = ExitStatus(program);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("SIGPIPE ends a program whose output is not read, in one process and in several") {
  for (const std::string flags : {"-w2", "-p1", "-p2"}) {
    CAPTURE(flags);
    Pipe output;
    const pid_t program = StartProgram([&] {
      output.out.Close();
      dup2(output.in.get(), STDOUT_FILENO);
      const Dataflow flow("numbers", [](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(1'000)) | Output("out", StdOutSink());
      });
      _exit(Main(flow, {flags}, {}));
    });
    output.out.Close();
    const int status = ExitStatus(program);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGPIPE);
  }
}

}  // namespace
}  // namespace headway
