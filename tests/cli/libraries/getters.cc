// Dataflows for the tests of the command.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "headway/engine/launch/export.h"
#include "headway/headway.h"

namespace tests {

using namespace headway;

const Dataflow flow("flow", [](Scope<>& scope) {
  scope.Input("numbers", TestingSource(std::vector{1, 2, 3})) | Output("out", StdOutSink());
});
HEADWAY_EXPORT_DATAFLOW(flow);

// Prints its arguments.
Dataflow Echo(std::string_view text, int8_t small, uint64_t large, double number, bool truth) {
  const std::string line = "<" + std::string(text) + "> " + std::to_string(small) + " " +
                           std::to_string(large) + " " + std::to_string(number) + " " +
                           (truth ? "true" : "false");
  return Dataflow("echo", [line](Scope<>& scope) {
    scope.Input("line", TestingSource(std::vector{line})) | Output("out", StdOutSink());
  });
}
HEADWAY_EXPORT_DATAFLOW(Echo);

absl::StatusOr<Dataflow> Refuses() { return absl::NotFoundError("nothing to run here"); }
HEADWAY_EXPORT_DATAFLOW(Refuses);

Dataflow Throws() { throw std::runtime_error("out of luck"); }
HEADWAY_EXPORT_DATAFLOW(Throws);

void Say(std::string_view line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) std::abort();
}

// Prints lines that can be told from pieces of each other.
Dataflow Lines(int64_t count) {
  return Dataflow("lines", [count](Scope<>& scope) {
    scope.Input("numbers", ManualSource([count](int worker, int, std::optional<int64_t>)
                                            -> Generator<std::pair<int64_t, int64_t>> {
                  for (int64_t i = 0; i < count; ++i) co_yield {i, worker * count + i};
                })) |
        Map("line", [](int64_t i) { return "<" + std::to_string(i) + ">"; }) |
        Output("out", StdOutSink());
  });
}
HEADWAY_EXPORT_DATAFLOW(Lines);

// Prints without a sink.
Dataflow Prints(bool flushes) {
  return Dataflow("prints", [flushes](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector{1})) | Inspect("print", [flushes](int) {
      std::printf("a line\n");
      if (flushes) std::fflush(stdout);
    });
  });
}
HEADWAY_EXPORT_DATAFLOW(Prints);

// Runs until it is stopped. Each process prints a line when it has begun.
Dataflow Endless() {
  return Dataflow("endless", [](Scope<>& scope) {
    scope.Input("numbers", ManualSource([](int, int, std::optional<int64_t> resume)
                                            -> Generator<std::pair<int64_t, int64_t>> {
                  for (int64_t i = resume.value_or(0);; ++i) co_yield {i + 1, i};
                })) |
        Inspect("say", [](int64_t x) {
          if (x == 0) Say("begun\n");
        });
  });
}
HEADWAY_EXPORT_DATAFLOW(Endless);

// Does not come back from its step.
Dataflow Stuck() {
  return Dataflow("stuck", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector{1})) | Inspect("stuck", [](int) {
      Say("begun\n");
      while (true) pause();
    });
  });
}
HEADWAY_EXPORT_DATAFLOW(Stuck);

// A step throws, with a message that is not for a line.
Dataflow Fails() {
  return Dataflow("fails", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector{1})) |
        Inspect("fails", [](int) { throw std::runtime_error("out of order\n\x1b[31mand red"); });
  });
}
HEADWAY_EXPORT_DATAFLOW(Fails);

// A process dies in it.
Dataflow Dies() {
  return Dataflow("dies", [](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector{1})) | Inspect("dies", [](int) { _exit(7); });
  });
}
HEADWAY_EXPORT_DATAFLOW(Dies);

}  // namespace tests
