#ifndef HEADWAY_ENGINE_GRAPH_GRAPH_H_
#define HEADWAY_ENGINE_GRAPH_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/completion.h"
#include "engine/graph/credit_gate.h"
#include "engine/graph/graph_description.h"
#include "engine/graph/graph_objects.h"
#include "engine/graph/node.h"
#include "engine/graph/progress_outbox.h"
#include "engine/graph/push.h"
#include "engine/graph/run_queue.h"
#include "engine/graph/step_errors.h"
#include "engine/runtime/worker_context.h"
#include "progress/tracker.h"

namespace headway {
class EpochParticipant;
}

namespace headway::internal {

class OutboxNodeBase;
class ChannelBase;
class CapabilityLedgerBase;
class GraphBuilder;
class SourceControl;

// The nodes and channels of a graph, in build order.
struct GraphParts {
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<ChannelBase*> channels;  // by number
  std::vector<CapabilityLedgerBase*> ledgers;
  std::vector<SourceControl*> sources;
  std::vector<EpochParticipant*> participants;
  std::vector<OutboxNodeBase*> outboxes;     // of transactional sinks
  std::vector<std::vector<Node*>> watchers;  // by location
  bool has_event_time = false;               // sources tell of watermarks
};

// One dataflow on one worker, as it runs: its nodes and channels, its progress tracker, the queue
// of nodes that are scheduled, and the nodes and transforms that wait for credit. A GraphBuilder
// makes it.
//
// A step of the graph has five phases:
//  1. Batches and progress of other workers are delivered (InputPortBase::Accept, ApplyProgress).
//  2. Frontiers are brought up to date, and the nodes that watch them are activated.
//  3. Active nodes run.
//  4. The net progress changes of phase 3 are published as one atomic round.
//  5. Frontiers are brought up to date again, so that probes see the round.
//
// Belongs to its worker and its thread.
class Graph {
 public:
  Graph(WorkerContext& worker, uint32_t id, std::string name);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }
  WorkerContext& worker() { return worker_; }
  Tracker& tracker() { return tracker_; }
  const Completion& completion() const { return completion_; }
  Completion& completion() { return completion_; }
  StepErrors& errors() { return errors_; }
  RunQueue& queue() { return queue_; }
  CreditGate& credit() { return credit_; }
  const CreditGate& credit() const { return credit_; }
  CurrentPush& current_push() { return push_; }
  // Lives as long as the graph, its nodes and their logic.
  GraphObjects& objects() { return objects_; }
  const GraphDescription& description() const { return description_; }
  const GraphParts& parts() const { return parts_; }

  // The builder, while the graph is being built. After that the caller has kept a stream or scope
  // for too long: the run fails with an error that names `step_id`, and StepFailed is thrown.
  GraphBuilder& builder(std::string_view step_id = "");

  // Performs phases 2 to 5. Returns true if anything was done.
  bool Step();
  // Returns true if a step would find something to do: the worker does not park then.
  bool HasWork() const;
  // Returns true if a round waits for room in this worker's log.
  bool HasUnsentProgress() const { return outbox_.unsent(); }
  // Returns true if nothing can ever happen again in this dataflow, on any worker.
  bool Complete() const {
    return builder_ == nullptr && !outbox_.unsent() && queue_.empty() && credit_.empty() &&
           tracker_.Complete();
  }

  // Null if there is no such channel.
  ChannelBase* ChannelOf(uint32_t channel) {
    return channel < parts_.channels.size() ? parts_.channels[channel] : nullptr;
  }
  // Applies a round of progress of endpoint `from`.
  void ApplyProgress(int from, std::span<const std::byte> encoded);
  // `by_thread`: another thread asked for it, not a timer.
  void ActivateByIndex(uint32_t node_index, bool by_thread = false);

 private:
  friend class GraphBuilder;

  void ActivateWatchers();
  bool RunActiveNodes();
  void RunNode(Node& node);
  [[noreturn]] void FailKeptSession(const Node& node);
  bool Propagate();

  WorkerContext& worker_;
  const uint32_t id_;
  bool needs_propagation_ = false;
  GraphBuilder* builder_ = nullptr;  // null once the build is over
  StepErrors errors_;
  RunQueue queue_;
  CreditGate credit_;
  CurrentPush push_;
  ProgressOutbox outbox_;
  GraphParts parts_;
  Tracker tracker_;
  Completion completion_;
  GraphObjects objects_;
  GraphDescription description_;
  const std::string name_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_H_
