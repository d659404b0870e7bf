#ifndef HEADWAY_ENGINE_STEP_OUTPUT_CREDIT_H_
#define HEADWAY_ENGINE_STEP_OUTPUT_CREDIT_H_

#include <cstdint>
#include <vector>

#include "engine/step/node_io.h"

namespace headway::internal {

// Tells a step that emits many results whether its outputs have credit for more. Cheap enough for
// each result, since credit is checked once for each batch that is sent. Belongs to the worker's
// thread.
class OutputCredit {
 public:
  // Counts the batches of an output, which outlives this object.
  template <class R, class T>
  void Count(const NodeOutput<R, T>& output) {
    outputs_.push_back({&output, [](const OutputPortBase* port) {
                          return static_cast<const NodeOutput<R, T>*>(port)->batch_count();
                        }});
  }

  // Returns false if an output of the node lacks credit.
  bool Has(Graph& graph, const Node& node) {
    uint64_t sent = 0;
    for (const Output& output : outputs_) sent += output.batch_count(output.port);
    if (sent == sent_with_credit_) return true;
    for (OutputPortBase* output : node.outputs) {
      if (!graph.credit().HasCredit(*output)) return false;
    }
    sent_with_credit_ = sent;
    return true;
  }

 private:
  struct Output {
    const OutputPortBase* port;
    uint64_t (*batch_count)(const OutputPortBase* port);
  };

  std::vector<Output> outputs_;
  uint64_t sent_with_credit_ = 0;  // batches, when there was credit the last time
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_OUTPUT_CREDIT_H_
