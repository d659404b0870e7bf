#ifndef HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_
#define HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/capability.h"
#include "engine/graph/scope.h"
#include "engine/step/activator.h"
#include "engine/step/operator_builder.h"

namespace headway::internal {

// Partitions of a source that worker 0 has found.
struct PartitionList {
  std::vector<std::string> names;
  bool is_last = true;  // no other list follows
};

// Sends the lists of worker 0 to all workers. Until the last one is sent, worker 0 holds a
// capability at the epoch of its source.
class SourceListing {
 public:
  using Input = NodeInput<PartitionList, Epoch>;
  using Output = NodeOutput<PartitionList, Epoch>;

  // Adds the input to a source whose operator is being built, before its output; null if there is
  // only one worker. `step_id` is that of the source.
  static SourceListing* AddTo(Scope<Epoch>& scope, OperatorBuilder<Epoch>& source,
                              std::string_view step_id);

  // On worker 0: sends a list.
  void Send(PartitionList list);
  // On worker 0: the source has closed the epochs before this one.
  void Follow(Epoch epoch);
  // On worker 0: nothing is sent any more.
  void Stop();
  // The next list that has come; nullopt if none has.
  std::optional<PartitionList> Receive();

 private:
  void SendWaiting();

  std::optional<Activator> sender_;
  Output* output_ = nullptr;
  Capability<Epoch> held_;
  std::vector<PartitionList> to_send_;
  bool sends_more_ = false;
  Input* input_ = nullptr;
  std::deque<PartitionList> received_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_SOURCE_LISTING_H_
