// 0, 1, 2, each plus one.
#include "examples/example.h"
#include "headway/headway.h"

using namespace headway;

int main(int argc, char** argv) {
  Dataflow flow("simple", [](Scope<>& scope) {
    scope.Input("inp", TestingSource(std::vector{0, 1, 2}))  //
        | Map("plus_one", [](int x) { return x + 1; })       //
        | Output("out", StdOutSink());
  });
  return Finish(RunFromArgs(flow, argc, argv));
}
