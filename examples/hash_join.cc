// Joins two streams of random keys: `hash_join [-w WORKERS] [RECORDS KEYS]` prints the number of
// rows. Each worker keeps the records of its share of the keys, of both streams, in a hash table. A
// record meets those of the other stream that have come before it.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

using Keyed = std::pair<uint64_t, uint64_t>;  // key, number of the record

// The numbers from 0 to `records`, divided among the workers, with random keys.
auto RandomKeys(uint64_t records, uint64_t keys, uint64_t seed) {
  return ManualSource([=](int worker_index, int worker_count,
                          std::optional<uint64_t> resume) -> Generator<std::pair<uint64_t, Keyed>> {
    for (uint64_t i = resume.value_or(worker_index); i < records; i += worker_count) {
      co_yield {i + worker_count, Keyed(SplitMix64(seed + i) % keys, i)};
    }
  });
}

int main(int argc, char** argv) {
  const std::vector<std::string> words = ProgramArguments(argc, argv);
  const uint64_t records = words.size() < 2 ? 20'000 : std::stoull(words[0]);
  const uint64_t keys = words.size() < 2 ? 5'000 : std::stoull(words[1]);

  Dataflow flow("hash_join", [=](Scope<>& scope) {
    auto right = scope.Input("right", RandomKeys(records, keys, records));
    scope.Input("left", RandomKeys(records, keys, 0)) | InnerJoin("join", right) |
        CountFinal("count", [](const auto&) { return 0; }) |
        Map("text", [](const auto& count) { return absl::StrCat(count.second, " rows"); }) |
        Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
