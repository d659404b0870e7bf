// Counts the numbers 1 to LIMIT by the turns of "halve if even, else 3n + 1" that they take to
// reach 1. The turns are a cycle in a nested scope. `collatz [-w WORKERS] [LIMIT]` prints `(turns,
// numbers)`.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Walk {
  uint64_t at;
  uint64_t turns;
};

// In the nested scope a time is (epoch, round). Each turn of the cycle adds a round.
using Round = Product<Epoch, uint64_t>;

int main(int argc, char** argv) {
  const std::vector<std::string> words = ProgramArguments(argc, argv);
  const uint64_t limit = words.empty() ? 1000 : std::stoull(words[0]);

  Dataflow flow("collatz", [limit](Scope<>& scope) {
    Stream<Walk> walks = scope.Input(
        "numbers",
        ManualSource([limit](int worker_index, int worker_count, std::optional<uint64_t> resume)
                         -> Generator<std::pair<uint64_t, Walk>> {
          const auto first = static_cast<uint64_t>(worker_index) + 1;
          for (uint64_t n = resume.value_or(first); n <= limit; n += worker_count) {
            co_yield {n + worker_count, Walk{.at = n, .turns = 0}};
          }
        }));

    Stream<Walk> done = scope.Iterate("walk", [&](Scope<Round>& inner) {
      auto [loop, again] = inner.Feedback<Walk>("again", {0, 1});
      Stream<Walk, Round> all = walks | Enter(inner) | Merge("all", again);
      all | Filter("above_1", [](const Walk& w) { return w.at != 1; })  //
          |
          Map("turn",
              [](Walk w) { return Walk{w.at % 2 == 0 ? w.at / 2 : 3 * w.at + 1, w.turns + 1}; })  //
          | ConnectLoop(loop);
      return all | Filter("at_1", [](const Walk& w) { return w.at == 1; }) | Leave(scope);
    });

    done | CountFinal("count", [](const Walk& w) { return w.turns; }) | Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
