#include "engine/runtime/worker_context.h"

#include "engine/runtime/network.h"

namespace headway::internal {

void WorkerContext::ReturnRemote(uint32_t dataflow, uint32_t channel, const Block& block) {
  endpoint.Send(run.network()->endpoint_index(), {.kind = kReturned,
                                                  .dataflow = dataflow,
                                                  .channel = channel,
                                                  .extra = block.sender,
                                                  .charged_bytes = block.byte_count});
  network_output = true;
}

}  // namespace headway::internal
