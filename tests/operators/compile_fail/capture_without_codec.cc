// expect: Capture: the records must have a Codec
#include <memory>

#include "headway.h"

struct Opaque {
  std::unique_ptr<int> pointer;
};

void Build(const headway::Stream<Opaque>& stream) {
  stream | headway::Capture("bad", headway::CaptureInMemory());
}
