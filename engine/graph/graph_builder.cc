#include "engine/graph/graph_builder.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/graph/channel.h"
#include "engine/graph/source_control.h"
#include "engine/graph/stall.h"
#include "engine/network/remote_sender.h"
#include "progress/process_sum.h"

namespace headway::internal {

GraphBuilder::GraphBuilder(Graph& graph) : graph_(graph) {
  graph.builder_ = this;
  NameLocation(graph.completion_.location(), "the end of the dataflow");
}

GraphBuilder::~GraphBuilder() { graph_.builder_ = nullptr; }

void GraphBuilder::ClaimStepId(const std::string& step_id) {
  if (step_id.empty()) {
    graph_.errors().Fail(step_id,
                         absl::InvalidArgumentError(
                             "a step needs an id; give it a name that is unique in the dataflow"));
  } else if (!step_ids_.insert(step_id).second) {
    graph_.errors().Fail(step_id, absl::InvalidArgumentError(
                                      "this step id is used twice; ids are unique in a dataflow"));
  }
  describer_.AddStep(step_id);
}

Node& GraphBuilder::AddNode(std::string step_id) {
  ClaimStepId(step_id);
  std::vector<std::unique_ptr<Node>>& nodes = graph_.parts_.nodes;
  nodes.push_back(std::make_unique<Node>(std::move(step_id), static_cast<uint32_t>(nodes.size())));
  return *nodes.back();
}

void GraphBuilder::AddChannel(ChannelBase& channel) {
  std::vector<ChannelBase*>& channels = graph_.parts_.channels;
  const auto id = static_cast<uint32_t>(channels.size());
  channel.Register(id, graph_.worker().attempt().channel_credits().Of(graph_.id(), id));
  channels.push_back(&channel);
}

void GraphBuilder::AddLedger(CapabilityLedgerBase& ledger) {
  graph_.parts_.ledgers.push_back(&ledger);
}

void GraphBuilder::AddSource(SourceControl& source) { graph_.parts_.sources.push_back(&source); }

void GraphBuilder::AddParticipant(EpochParticipant& participant) {
  graph_.parts_.participants.push_back(&participant);
}

void GraphBuilder::AddOutbox(OutboxNodeBase& outbox) { graph_.parts_.outboxes.push_back(&outbox); }
void GraphBuilder::UseEventTime() { graph_.parts_.has_event_time = true; }

void GraphBuilder::AtStart(const std::string& step_id, absl::AnyInvocable<void()> start) {
  starts_.push_back({step_id, std::move(start)});
}

void GraphBuilder::NameLocation(LocationId location, std::string name) {
  if (location_names_.size() <= location) location_names_.resize(location + 1);
  location_names_[location] = std::move(name);
}

std::string GraphBuilder::NameOf(LocationId location) const {
  return location < location_names_.size() && !location_names_[location].empty()
             ? location_names_[location]
             : absl::StrCat("location ", location);
}

void GraphBuilder::MarkSuccessor(LocationId location) {
  if (has_successor_.size() <= location) has_successor_.resize(location + 1);
  has_successor_[location] = true;
}

bool GraphBuilder::HasSuccessor(LocationId location) const {
  return location < has_successor_.size() && has_successor_[location];
}

bool GraphBuilder::Reaches(const std::vector<OutputPortBase*>& ports,
                           const OutputPortBase& loop) const {
  std::set<const OutputPortBase*> seen(ports.begin(), ports.end());
  std::vector<const OutputPortBase*> left(ports.begin(), ports.end());
  while (!left.empty()) {
    const OutputPortBase* const from = left.back();
    left.pop_back();
    if (from == &loop) return true;
    // The port of another cycle stands for the ports that feed that cycle.
    for (const ConnectedPorts& connected : connected_ports_) {
      if (connected.loop != from) continue;
      for (const OutputPortBase* port : connected.ports) {
        if (seen.insert(port).second) left.push_back(port);
      }
    }
  }
  return false;
}

bool GraphBuilder::ConnectPorts(OutputPortBase& loop, const std::vector<OutputPortBase*>& ports) {
  if (Reaches(ports, loop)) return false;
  connected_ports_.push_back({&loop, ports});
  return true;
}

// Cycles may feed each other, so ports are added until nothing changes.
void GraphBuilder::ResolvePorts() {
  auto add_all = [](auto& to, const auto& from) {
    bool added = false;
    for (auto* item : from) {
      if (std::find(to.begin(), to.end(), item) != to.end()) continue;
      to.push_back(item);
      added = true;
    }
    return added;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (const ConnectedPorts& connected : connected_ports_) {
      for (OutputPortBase* port : connected.ports) {
        changed |= add_all(port->buffers, connected.loop->buffers);
        changed |= add_all(port->channels, connected.loop->channels);
      }
    }
  }
}

absl::Status GraphBuilder::CheckLogic() const {
  for (const std::unique_ptr<Node>& node : graph_.parts_.nodes) {
    if (node->logic) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the operator '", node->step_id(),
                     "' has no logic: end its OperatorBuilder with Build or "
                     "BuildWithoutCapabilities, and give it a function that is not empty"));
  }
  return absl::OkStatus();
}

void GraphBuilder::LinkCompletion() {
  if (graph_.parts().sources.empty() && completion_watchers_.empty()) return;
  for (auto link = scope_links_.rbegin(); link != scope_links_.rend(); ++link) {
    link->second(link->first);
  }
  graph_.completion_.Watch();
}

void GraphBuilder::WatchFrontiers() {
  const Tracker& tracker = graph_.tracker_;
  std::vector<std::vector<Node*>>& watchers = graph_.parts_.watchers;
  watchers.resize(tracker.location_count());
  for (const std::unique_ptr<Node>& node : graph_.parts_.nodes) {
    for (InputPortBase* input : node->inputs) {
      if (input->watches_frontier) watchers[input->location].push_back(node.get());
    }
  }
  for (SourceControl* source : graph_.parts().sources) {
    watchers[graph_.completion_.location()].push_back(&source->node());
  }
  for (Node* node : completion_watchers_) {
    watchers[graph_.completion_.location()].push_back(node);
  }
}

absl::Status GraphBuilder::Finish() {
  WorkerContext& worker = graph_.worker();
  if (worker.failed()) return worker.attempt().failure().status();
  if (absl::Status status = CheckLogic(); !status.ok()) return status;
  for (auto& [step_id, start] : starts_) graph_.errors().Guard(step_id, start);
  ResolvePorts();
  graph_.credit_.cycles().Find(graph_.parts_.nodes);
  LinkCompletion();
  // The tracker keeps the function, and the builder ends with the build.
  absl::Status status = graph_.tracker_.Finish([&graph = graph_](LocationId location) {
    return graph.builder_ != nullptr ? graph.builder_->NameOf(location)
                                     : NameOfLocation(graph.parts(), location);
  });
  if (!status.ok()) return status;
  WatchFrontiers();
  graph_.queue_.Open();
  graph_.ActivateWatchers();
  graph_.description_ = describer_.Take();
  const std::vector<std::string> lines = graph_.description_.Lines(graph_.name());
  status = worker.attempt().graph_comparison().Compare(
      graph_.id(), worker.attempt().Describe(worker.index()), lines);
  if (Network* network = worker.attempt().network()) {
    network->AddDataflow(graph_.id(), Layout(), lines);
    worker.remote()->NoteProgress();
  }
  return status;
}

// Says which changes other processes need not be told of at once: see ProcessSum.
ProgressLayout GraphBuilder::Layout() const {
  const Tracker& tracker = graph_.tracker_;
  ProgressLayout layout{.change_bytes = tracker.ChangeSizes(),
                        .only_capabilities = std::vector<bool>(tracker.location_count()),
                        .initial = tracker.EncodeCounts()};
  for (LocationId location = 0; location < tracker.location_count(); ++location) {
    layout.only_capabilities[location] = tracker.TimesAreBytes(location);
  }
  for (ChannelBase* channel : graph_.parts_.channels) {
    layout.only_capabilities[channel->target().location] = false;
  }
  return layout;
}

}  // namespace headway::internal
