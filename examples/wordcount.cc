// Counts the words of text files. `wordcount [-w WORKERS] [-p PROCESSES] FILE...` prints `count
// word`, the most frequent word first.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

using WordCount = std::pair<std::string, int64_t>;

// Gathers all counts on one worker, which emits them as lines at the end of the input.
auto MostFrequentFirst(std::string step_id) {
  return UnaryFrontier<std::string>(std::move(step_id), pact::Gather{}, [](Capability<> first) {
    return [held = std::move(first), counts = std::vector<WordCount>()](
               NodeInput<WordCount>& in, NodeOutput<std::string>& out) mutable {
      in.ForEach([&](const CapabilityRef<>&, Batch<WordCount>& batch) {
        for (size_t i = 0; i < batch.size(); ++i) counts.emplace_back(batch.Take(i));
      });
      held.Follow(in.frontier());
      if (!held.held() || !in.frontier().empty()) return;
      std::sort(counts.begin(), counts.end(), [](const WordCount& a, const WordCount& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
      });
      auto session = out.SessionAt(held);
      for (const auto& [word, count] : counts) session.Give(absl::StrFormat("%d %s", count, word));
      held.Drop();
    };
  });
}

int main(int argc, char** argv) {
  if (argc == 1) {
    std::fputs("usage: wordcount [-w WORKERS] [-p PROCESSES] FILE...\n", stderr);
    return 2;
  }
  const std::vector<std::string> files = ProgramArguments(argc, argv);
  Dataflow flow("wordcount", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(files))                                     //
        | FlatMap("words", [](std::string_view line) { return Words(line); })  //
        | CountFinal("count")                                                  //
        | MostFrequentFirst("sort")                                            //
        | Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
