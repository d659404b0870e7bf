// expect: Transform: the body must take (Batch<D>& batch, TransformOutput<R, T>& output)
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  headway::Transform<int>(stream, "bad", [](headway::Batch<int>&) {});
}
