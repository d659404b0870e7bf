#ifndef HEADWAY_TESTS_ENGINE_BATCH_BATCH_HELPERS_H_
#define HEADWAY_TESTS_ENGINE_BATCH_BATCH_HELPERS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "comm/memory/slab.h"
#include "comm/wire/wire.h"
#include "tests/engine/run_helpers.h"

namespace headway {

// The endpoint of a worker that does nothing else.
struct Pool {
  internal::RunContext run{1, RunOptions{}};
  internal::Attempt attempt{run};
  Worker worker{attempt, 0};
  InputHandle<int> input;
  internal::Endpoint* endpoint = nullptr;

  Pool() {
    CheckOk(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input);
      endpoint = &scope.graph().worker().endpoint();
    }));
  }
};

// The batch of a block as another process receives it. Recycles the block. The result lies at the
// end of its memory, with nothing readable behind it.
template <class Batch>
internal::Block* SendAndReceive(internal::Endpoint& endpoint, internal::Block* sent,
                                internal::SlabPool* slabs) {
  const internal::WireParts parts = Batch::PartsOf(*sent);
  const size_t bytes = internal::PadToFrameAlignment(size_t{parts.front_bytes} + parts.back_bytes);
  internal::Slab* slab = slabs->Get(internal::Slab::kHeadroomBytes + bytes);
  std::byte* to = slab->data() + slab->capacity() - bytes;
  std::memset(to, 0, bytes);
  std::memcpy(to, sent->payload(), parts.front_bytes);
  std::memcpy(to + bytes - parts.back_bytes, sent->payload() + sent->capacity - parts.back_bytes,
              parts.back_bytes);
  internal::Block* received = slab->PlaceBlock(to, static_cast<uint32_t>(bytes));
  slab->Unref();
  received->record_count = sent->record_count;
  endpoint.Recycle(sent);
  return received;
}

// Checks with `check(batch, records)` that `batch` has the content `expected`. Checks the same of a
// copy, of a batch of the records taken from it, of a batch that adopts its block, and of parts of
// it in a block of their size.
template <class D, class Check>
void CheckCopies(internal::Endpoint& endpoint, Batch<D>& batch, const std::vector<D>& expected,
                 Check check) {
  check(batch, expected);
  Batch<D> copy;
  copy.CopyFrom(endpoint, batch);
  check(copy, expected);

  Batch<D> appended;
  std::vector<D> taken;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!appended.TryAppend(batch.Take(i))) {
      check(appended, taken);
      taken.clear();
      appended = Batch<D>();
      appended.Allocate(endpoint, batch[i]);
      REQUIRE(appended.TryAppend(batch.Take(i)));
    }
    taken.push_back(expected[i]);
  }
  Batch<D> adopted(&endpoint, appended.Release());
  check(adopted, taken);
  for (const size_t divisor : {2, 8}) {
    taken.resize(taken.size() / divisor);
    adopted.Truncate(taken.size());
    adopted.Shrink(endpoint);
    check(adopted, taken);
  }
}

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_BATCH_BATCH_HELPERS_H_
