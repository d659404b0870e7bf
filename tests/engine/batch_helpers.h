#ifndef HEADWAY_TESTS_ENGINE_BATCH_HELPERS_H_
#define HEADWAY_TESTS_ENGINE_BATCH_HELPERS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "headway/comm/slab.h"
#include "headway/comm/wire.h"
#include "headway/tests/engine/run_helpers.h"

namespace headway {

// The endpoint of a worker that does nothing else.
struct Pool {
  internal::RunState run{1, RunOptions{}};
  Worker worker{run, 0};
  InputHandle<int> input;
  internal::Endpoint* endpoint = nullptr;

  Pool() {
    CheckOk(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input);
      endpoint = &scope.graph().worker().endpoint;
    }));
  }
};

// What arrives where another process sends the batch of a block to; recycles the block. It lies at
// the end of its memory, with nothing readable behind it.
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

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_BATCH_HELPERS_H_
