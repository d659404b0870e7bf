// Passes a barrier ROUNDS times: no worker begins a round before all workers have ended the one
// before. `barrier [-w WORKERS] [ROUNDS]`.
#include <cstdio>
#include <string>
#include <vector>

#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

int main(int argc, char** argv) {
  const std::vector<std::string> words = ProgramArguments(argc, argv);
  const uint64_t rounds = words.empty() ? 1000 : std::stoull(words[0]);
  absl::Status status = ExecuteFromArgs(argc, argv, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("barrier", [&](Scope<>& scope) {
      auto [loop, stream] = scope.Feedback<uint64_t>("loop", 1);
      stream |
          UnaryNotify<uint64_t>(
              "round", pact::Pipeline{},
              [&](Capability<> first, Notificator<>& notificator) {
                notificator.NotifyAt(std::move(first));
                return [rounds, index = worker.index()](
                           NodeInput<uint64_t>& in, NodeOutput<uint64_t>&, Notificator<>& waiting) {
                  while (std::optional<Capability<>> round = waiting.Next(in.frontier())) {
                    if (round->time() + 1 < rounds) {
                      round->Downgrade(round->time() + 1);
                      waiting.NotifyAt(*std::move(round));
                    } else if (index == 0) {
                      std::printf("%lu rounds\n", rounds);
                    }
                  }
                };
              }) |
          ConnectLoop(loop);
    }));
    return absl::OkStatus();
  });
  return Finish(status);
}
