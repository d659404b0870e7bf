// A source written as a coroutine that yields the same items on every worker. With `manual -w 4`,
// each of the workers prints its index with the items 1, 2, 3.
#include <optional>
#include <string>
#include <utility>

#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

struct Item {
  int worker;
  int64_t item;
};
std::string ToString(const Item& i) {
  return "{Worker: " + std::to_string(i.worker) + ", Item: " + std::to_string(i.item) + "}";
}

int main(int argc, char** argv) {
  Dataflow flow("manual", [](Scope<>& scope) {
    scope.Input("inp",
                ManualSource(
                    [](int worker_index, int /*worker_count*/,
                       std::optional<int64_t> resume_state) -> Generator<std::pair<int64_t, Item>> {
                      for (int64_t i = resume_state.value_or(0); i < 3; ++i) {
                        co_yield {i + 1, Item{worker_index, i}};
                      }
                    }))                                                       //
        | Map("plus_one", [](Item i) { return Item{i.worker, i.item + 1}; })  //
        | Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
