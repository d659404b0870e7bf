// expect: Output: the sink's Writer must have absl::Status Flush()
#include "headway.h"

struct Sink {
  struct Writer {
    absl::Status Write(int) { return absl::OkStatus(); }
  };
  absl::StatusOr<Writer> Open(const headway::SinkContext&) { return Writer(); }
};

void Build(const headway::Stream<int>& stream) { stream | headway::Output("bad", Sink()); }
