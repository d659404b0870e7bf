// expect: CallbackSink: the function must take one record of the stream
#include "headway.h"

using namespace headway;

void Build(Scope<>& scope) {
  scope.Input("numbers", TestingSource(std::vector<int>{1})) |
      Output("host", CallbackSink([](std::string_view) {}));
}
