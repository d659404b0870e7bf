// expect: KeyedOperator: OnBatch must get a function of (const CapabilityRef<T>& time
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  using Record = std::pair<int, int>;
  headway::KeyedOperator<int, Record, headway::Epoch, headway::FirstOfPair> keyed(
      stream, "bad", headway::FirstOfPair());
  keyed.OnBatch([](headway::Batch<Record>&) {});
}
