#ifndef HEADWAY_ENGINE_GRAPH_GRAPH_BUILDER_H_
#define HEADWAY_ENGINE_GRAPH_GRAPH_BUILDER_H_

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "engine/graph/graph.h"

namespace headway {
struct ProgressLayout;
}  // namespace headway

namespace headway::internal {

// Builds a Graph: collects its steps, nodes, channels and locations, and checks it. Lives from the
// start of the build to its end; Graph::builder finds it meanwhile.
//
// Errors of the caller (a step id that is used twice, streams of other scopes) fail the run.
// Belongs to the worker's thread.
class GraphBuilder {
 public:
  explicit GraphBuilder(Graph& graph);
  ~GraphBuilder();
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  // Registers a step's full id. An empty or repeated id is an InvalidArgument failure.
  void ClaimStepId(const std::string& step_id);
  Node& AddNode(std::string step_id);
  // Gives the channel its number, and its input the frames that carry the number.
  void AddChannel(ChannelBase& channel);
  void AddLedger(CapabilityLedgerBase& ledger);
  void AddSource(SourceControl& source);
  // A node that takes part in the ends of epochs.
  void AddParticipant(EpochParticipant& participant);
  // A sink that publishes epochs when they are committed.
  void AddOutbox(OutboxNodeBase& outbox);
  // A step derives watermarks from records: the sources tell when a partition was read.
  void UseEventTime();
  // The node is activated when an epoch is complete in the dataflow, as its sources are.
  void WatchCompletion(Node& node) { completion_watchers_.push_back(&node); }
  // Calls `start`, user code of the step, in Finish. Sources and sinks open then, after state was
  // restored.
  void AtStart(const std::string& step_id, absl::AnyInvocable<void()> start);

  // Names a location in error messages.
  void NameLocation(LocationId location, std::string name);
  std::string NameOf(LocationId location) const;
  // Notes that a path continues from a location. Records leave the dataflow at locations without
  // one.
  void MarkSuccessor(LocationId location);
  bool HasSuccessor(LocationId location) const;
  // Adds the buffers and channels behind `loop`, the port of a cycle, to `ports`, whose records
  // pass the cycle without a node in between. Returns false, without effect, if the cycle would
  // feed itself so: then it needs a node.
  bool ConnectPorts(OutputPortBase& loop, const std::vector<OutputPortBase*>& ports);

  // Calls link(scope) in Finish if the dataflow has sources. Scopes link the places where their
  // records leave to Graph::completion by it, inner scopes first.
  using Link = void (*)(void* scope);
  void AddScopeLink(void* scope, Link link) { scope_links_.push_back({scope, link}); }

  GraphDescriber& describer() { return describer_; }

  // Ends the build: checks the graph, computes the first frontiers, and compares the graph with
  // those of the other workers and processes. Errors: InvalidArgument.
  absl::Status Finish();

 private:
  bool Reaches(const std::vector<OutputPortBase*>& ports, const OutputPortBase& loop) const;
  void ResolvePorts();
  absl::Status CheckLogic() const;
  void LinkCompletion();
  void WatchFrontiers();
  ProgressLayout Layout() const;

  struct ConnectedPorts {
    OutputPortBase* loop;
    std::vector<OutputPortBase*> ports;
  };

  Graph& graph_;
  GraphDescriber describer_;
  std::unordered_set<std::string> step_ids_;
  std::vector<std::string> location_names_;
  std::vector<bool> has_successor_;
  std::vector<ConnectedPorts> connected_ports_;
  std::vector<std::pair<void*, Link>> scope_links_;
  std::vector<std::pair<std::string, absl::AnyInvocable<void()>>> starts_;
  std::vector<Node*> completion_watchers_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_BUILDER_H_
