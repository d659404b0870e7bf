// expect: a coroutine cannot yield an aggregate that owns memory, which GCC 12 destroys twice
#include <optional>
#include <string>
#include <utility>

#include "headway.h"

struct Record {
  std::string text;
};

void Build(headway::Scope<>& scope) {
  scope.Input("records",
              headway::ManualSource(
                  [](int, int, std::optional<int>) -> headway::Generator<std::pair<int, Record>> {
                    co_yield {1, Record{"text"}};
                  }));
}
