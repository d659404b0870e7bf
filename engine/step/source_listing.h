#ifndef HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_
#define HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/scope.h"
#include "engine/step/operator_builder.h"

namespace headway::internal {

// Sends the list of worker 0 to all workers.
class SourceListing {
 public:
  using Input = NodeInput<std::vector<std::string>, Epoch>;

  // Adds the input to a source whose operator is being built, before its output; null if there is
  // only one worker. `step_id` is that of the source.
  static SourceListing* AddTo(Scope<Epoch>& scope, OperatorBuilder<Epoch>& source,
                              std::string_view step_id);

  // On worker 0: sends the list.
  void Send(std::vector<std::string> list) { to_send_ = std::move(list); }
  // The list, once, when it has come.
  std::optional<std::vector<std::string>> Receive();

 private:
  std::optional<std::vector<std::string>> to_send_;
  Input* input_ = nullptr;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_
