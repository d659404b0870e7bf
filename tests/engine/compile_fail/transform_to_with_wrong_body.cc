// expect: TransformTo: the body must take (Batch<D>& batch, TransformOutput<Rs, T>&...
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  headway::TransformTo<int, char>(stream, "bad",
                                  [](headway::Batch<int>&, headway::TransformOutput<int, int>&) {});
}
