// expect: PollingSource: the function must take nothing, or its state by reference if the source
// has one
#include "headway.h"

void Build(headway::Scope<>& scope) {
  scope.Input("poll", headway::PollingSource(absl::Seconds(1), [](int) { return 1; }));
}
