// expect: ManualSink: the function must take (int worker_index, int worker_count)
#include "headway.h"

void Build(headway::Scope<>& scope) {
  scope.Input("numbers", headway::TestingSource(std::vector<int>{1})) |
      headway::Output("out", headway::ManualSink([](int) {}));
}
