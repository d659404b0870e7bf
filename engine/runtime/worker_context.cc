#include "engine/runtime/worker_context.h"

#include "engine/runtime/network.h"

namespace headway::internal {

void WorkerContext::ReturnRemote(uint32_t dataflow, uint32_t channel, const Block& block) {
  endpoint.Send(
      attempt.network()->endpoint_index(),
      Message::Returned(dataflow, channel, {.sender = block.sender, .bytes = block.charged_bytes}));
  network_output = true;
}

}  // namespace headway::internal
