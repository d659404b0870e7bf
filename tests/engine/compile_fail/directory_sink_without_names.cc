// expect: DirectorySink: the function must return the name of a record's file
#include "headway.h"

using namespace headway;

void Build(Scope<>& scope) {
  scope.Input("numbers", TestingSource(std::vector<int>{1})) |
      Output("out", DirectorySink("out", [](int number) { return number; }));
}
