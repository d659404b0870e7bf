// Counts the words of text files. `wordcount [-w WORKERS] [-p PROCESSES] FILE...` prints `count
// word`, the most frequent word first. The program has a flag of its own, and stops on Ctrl-C.
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
  int64_t min_count = 1;
  CommandLine line("wordcount [FLAG...] FILE...\n\nCounts the words of text files.",
                   {.stop_on_signals = true});
  line.AddFlag("min-count", &min_count, "print only words that occur so often");
  if (absl::Status status = line.Parse(argc, argv); !status.ok()) return Finish(status);
  if (line.arguments().empty()) return Finish(line.UsageError("no file is given"));
  Dataflow flow("wordcount", [&](Scope<>& scope) {
    scope.Input("lines", FileLines(line.arguments()))                                //
        | FlatMap("words", [](std::string_view text) { return Words(text); })        //
        | CountFinal("count")                                                        //
        | Filter("frequent", [&](auto count) { return count.second >= min_count; })  //
        | MostFrequentFirst("sort")                                                  //
        | Output("out", StdOutSink());
  });
  return Finish(line.Run(flow));
}
