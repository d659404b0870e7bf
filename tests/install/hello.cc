// The smallest program of a user, built against an installed Headway; it prints 1, 2 and 3.

#include <vector>

#include "headway/headway.h"

int main() {
  headway::Dataflow flow("hello", [](headway::Scope<>& scope) {
    scope.Input("inp", headway::TestingSource(std::vector{0, 1, 2})) |
        headway::Map("plus_one", [](int x) { return x + 1; }) |
        headway::Output("out", headway::StdOutSink());
  });
  return headway::RunMain(flow).ok() ? 0 : 1;
}
