// Counts the words of text files: `wordcount [-w WORKERS] FILE...` prints `count word`, the most
// frequent first.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "headway/examples/example.h"
#include "headway/examples/words.h"
#include "headway/headway.h"

using namespace headway;

int main(int argc, char** argv) {
  std::vector<std::string> files;
  const int workers = ParseWorkers(argc, argv, &files);
  if (files.empty()) {
    std::fprintf(stderr, "usage: wordcount [-w WORKERS] FILE...\n");
    return 2;
  }

  using WordCount = std::pair<std::string, int64_t>;
  std::vector<WordCount> counts;
  Dataflow flow("wordcount", [&, sink = TestingSink(&counts)](Scope<>& scope) {
    scope.Input("lines", FileLines(files))                                     //
        | FlatMap("words", [](std::string_view line) { return Words(line); })  //
        | CountFinal("count")                                                  //
        | Output("out", sink);
  });
  absl::Status status = RunMain(flow, {.worker_count = workers});

  std::sort(counts.begin(), counts.end(), [](const WordCount& a, const WordCount& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  for (const auto& [word, count] : counts) std::printf("%ld %s\n", count, word.c_str());
  return Finish(status);
}
