// expect: EnrichCached: the mapper must take (LookupCache<Key, Value>& cache, record)
#include "headway.h"

void Build(const headway::Stream<int>& stream) {
  stream | headway::EnrichCached<int>("bad", [](int key) { return key; }, [](int x) { return x; });
}
