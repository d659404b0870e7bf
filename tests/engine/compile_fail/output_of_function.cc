// expect: Output: the sink must be an object with absl::StatusOr<Writer> Open
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::Output("bad", [](int) {});
}
