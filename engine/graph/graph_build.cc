#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/graph/capability.h"
#include "engine/graph/channel.h"
#include "engine/graph/graph.h"
#include "engine/graph/source_control.h"
#include "engine/runtime/network.h"

// How a Graph is built and taken down.

namespace headway::internal {

Graph::Graph(WorkerContext& worker, uint32_t id, std::string name)
    : worker_(worker), id_(id), name_(std::move(name)), root_(tracker_.AddScope<Epoch>()) {
  completion_ = root_.AddLocation();
  NameLocation(completion_, "the end of the dataflow");
}

Graph::~Graph() {
  for (auto& f : at_end_) f();
  for (CapabilityLedgerBase* ledger : ledgers_) ledger->Close();
  for (ChannelBase* channel : channels_) channel->target().Discard();
  nodes_.clear();  // with the state that the logic holds
  while (!owned_.empty()) {
    Owned object = owned_.back();
    owned_.pop_back();
    object.destroy(object.object);
  }
}

void Graph::FailBuilt(std::string_view step_id) {
  FailAndThrow(step_id, absl::InvalidArgumentError(absl::StrCat(
                            "its stream belongs to the dataflow '", name_,
                            "', which is built already; use a stream only in the function that "
                            "builds its dataflow")));
}

void Graph::ClaimStepId(const std::string& step_id) {
  if (step_id.empty()) {
    Fail(step_id, absl::InvalidArgumentError(
                      "a step needs an id; give it a name that is unique in the dataflow"));
  } else if (!step_ids_.insert(step_id).second) {
    Fail(step_id,
         absl::InvalidArgumentError("this step id is used twice; ids are unique in a dataflow"));
  }
  steps_.push_back(absl::StrCat("step '", step_id, "'"));
}

Node& Graph::AddNode(std::string step_id) {
  ClaimStepId(step_id);
  nodes_.push_back(
      std::make_unique<Node>(std::move(step_id), static_cast<uint32_t>(nodes_.size())));
  return *nodes_.back();
}

void Graph::AddChannel(ChannelBase* channel) {
  channel->id = static_cast<uint32_t>(channels_.size());
  channel->credits_ = worker_.run.CreditsOf(id_, channel->id);
  channels_.push_back(channel);
}

void Graph::AddLedger(CapabilityLedgerBase* ledger) { ledgers_.push_back(ledger); }

void Graph::NameLocation(LocationId location, std::string name) {
  if (location_names_.size() <= location) location_names_.resize(location + 1);
  location_names_[location] = std::move(name);
}

void Graph::MarkSuccessor(LocationId location) {
  if (has_successor_.size() <= location) has_successor_.resize(location + 1);
  has_successor_[location] = true;
}

bool Graph::HasSuccessor(LocationId location) const {
  return location < has_successor_.size() && has_successor_[location];
}

bool Graph::Reaches(const std::vector<OutputPortBase*>& ports, const OutputPortBase& loop) const {
  absl::flat_hash_set<const OutputPortBase*> seen(ports.begin(), ports.end());
  std::vector<const OutputPortBase*> left(ports.begin(), ports.end());
  while (!left.empty()) {
    const OutputPortBase* const from = left.back();
    left.pop_back();
    if (from == &loop) return true;
    // A port of another cycle stands for the ports that feed that cycle.
    for (const ConnectedPorts& connected : connected_ports_) {
      if (connected.loop != from) continue;
      for (const OutputPortBase* port : connected.ports) {
        if (seen.insert(port).second) left.push_back(port);
      }
    }
  }
  return false;
}

bool Graph::ConnectPorts(OutputPortBase& loop, const std::vector<OutputPortBase*>& ports) {
  if (Reaches(ports, loop)) return false;
  connected_ports_.push_back({&loop, ports});
  return true;
}

void Graph::ResolvePorts() {
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
  connected_ports_.clear();
}

absl::Status Graph::Finish() {
  if (worker_.run.failed()) return worker_.run.status();
  for (const std::unique_ptr<Node>& node : nodes_) {
    if (node->logic) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the operator '", node->step_id(),
                     "' has no logic: end its OperatorBuilder with Build or "
                     "BuildWithoutCapabilities, and give it a function that is not empty"));
  }
  ResolvePorts();
  if (has_completion()) {
    for (auto link = scope_links_.rbegin(); link != scope_links_.rend(); ++link) {
      link->second(*this, link->first);
    }
    root_.Watch(completion_);
  }
  absl::Status status = tracker_.Finish([this](LocationId location) {
    return location < location_names_.size() && !location_names_[location].empty()
               ? location_names_[location]
               : absl::StrCat("location ", location);
  });
  if (!status.ok()) return status;
  watchers_.resize(tracker_.location_count());
  for (const std::unique_ptr<Node>& node : nodes_) {
    for (InputPortBase* input : node->inputs) {
      if (input->watches_frontier) watchers_[input->location].push_back(node.get());
      node->in_cycle |= tracker_.IsInCycle(input->location);
    }
  }
  if (has_completion()) {
    for (SourceControl* source : sources_) watchers_[completion_].push_back(&source->node());
  }
  built_ = true;
  ActivateWatchers();
  MarkActive();
  absl::Status same = worker_.run.CheckSameGraph(id_, worker_.run.Describe(worker_.index), steps_);
  if (Network* network = worker_.run.network()) {
    network->AddDataflow(id_, Layout(), steps_);
    worker_.network_output = true;
  }
  return same;
}

// What other processes need not be told of at once: see ProcessSum.
ProgressLayout Graph::Layout() const {
  ProgressLayout layout{.change_bytes = tracker_.ChangeSizes(),
                        .only_capabilities = std::vector<bool>(tracker_.location_count()),
                        .initial = tracker_.EncodeCounts()};
  for (LocationId location = 0; location < tracker_.location_count(); ++location) {
    layout.only_capabilities[location] = tracker_.TimesAreBytes(location);
  }
  for (ChannelBase* channel : channels_) {
    layout.only_capabilities[channel->target().location] = false;
  }
  return layout;
}

}  // namespace headway::internal
