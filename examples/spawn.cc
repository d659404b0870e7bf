// Two processes of two workers each. Every worker of every process opens the source and prints its
// items. Flags have no effect.
#include <optional>
#include <string>
#include <utility>

#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

int main() {
  const Dataflow flow("spawn", [](Scope<>& scope) {
    scope.Input(
        "items",
        ManualSource([](int worker_index, int worker_count,
                        std::optional<int> resume_state) -> Generator<std::pair<int, std::string>> {
          const std::string worker =
              "worker " + std::to_string(worker_index) + " of " + std::to_string(worker_count);
          for (int i = resume_state.value_or(0); i < 2; ++i) {
            co_yield {i + 1, worker + ": item " + std::to_string(i)};
          }
        })) |
        Output("out", StdOutSink());
  });
  return Finish(SpawnCluster(flow, {.proc_count = 2, .worker_count_per_proc = 2}));
}
