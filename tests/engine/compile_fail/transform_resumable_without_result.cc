// expect: TransformResumable: the body must take (Batch<D>& batch, Position& position
#include "headway.h"

using Output = headway::ResumableOutput<int, headway::Epoch>;

void Build(const headway::Stream<int>& stream) {
  headway::TransformResumable<int, int>(stream, "bad", [](headway::Batch<int>&, int&, Output&) {});
}
