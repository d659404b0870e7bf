// expect: PollingSource: the function must return absl::StatusOr of a std::optional or of a range
// of records
#include "headway.h"

void Build(headway::Scope<>& scope) {
  scope.Input("poll", headway::PollingSource(absl::Seconds(1), [] { return 1; }));
}
