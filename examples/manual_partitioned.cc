// Like manual.cc, but the workers share the items: each yields the items that are its own index
// modulo the number of workers (`-w`).
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
  Dataflow flow("manual_partitioned", [](Scope<>& scope) {
    scope.Input("inp",
                ManualSource(
                    [](int worker_index, int worker_count,
                       std::optional<int64_t> resume_state) -> Generator<std::pair<int64_t, Item>> {
                      for (int64_t i = resume_state.value_or(0); i < 3; ++i) {
                        if (i % worker_count == worker_index)
                          co_yield {i + 1, Item{worker_index, i}};
                      }
                    }))                                                       //
        | Map("plus_one", [](Item i) { return Item{i.worker, i.item + 1}; })  //
        | Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
