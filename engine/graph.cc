#include "headway/engine/graph.h"

#include <algorithm>
#include <exception>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "headway/engine/capability.h"
#include "headway/engine/channel.h"
#include "headway/engine/source_control.h"

namespace headway::internal {
namespace {

// Batches that a node takes in one activation before the others have their turn.
constexpr int kMaxBatchesPerActivation = 32;

// A cycle may hold this many times the limit before it is found to amplify: what it turns over and
// what it makes of it.
constexpr int64_t kCycleLimitFactor = 2;

}  // namespace

// ---- Ports and channels ----

void InputPortBase::Discard() {
  while (!queue_.empty()) graph_.worker().endpoint.Recycle(TakeBlock());
}

void InputPortBase::Accept(Block* block) {
  queue_.PushBack(block);
  graph_.Activate(node_);
}

Block* InputPortBase::TakeBlock() {
  Block* block = queue_.PopFront();
  channel->CountTaken(*block);
  return block;
}

bool InputPortBase::MayTakeAnother() {
  if (queue_.empty() || node_.taken >= kMaxBatchesPerActivation) return false;
  if (node_.taken++ == 0) return true;
  for (OutputPortBase* output : node_.outputs) {
    if (!graph_.HasCredit(*output)) return false;
  }
  return true;
}

void OutputPortBase::Flush() {
  FlushOwnBuffer();
  for (Flushable* buffer : buffers) buffer->Flush();
}

ChannelBase::ChannelBase(Graph& graph, InputPortBase& target) : graph_(graph), target_(target) {
  target_.channel = this;
}

void ChannelBase::Deliver(int worker, Block* block) {
  WorkerContext& context = graph_.worker();
  const int64_t bytes = ChargedBytes(*block);
  block->sender = static_cast<uint32_t>(context.index);
  context.run.flow_control().AddSent(context.index, bytes);
  credits_->AddSent(context.index, bytes);
  if (worker == context.index) {
    target_.Accept(block);
  } else {
    context.endpoint.Send(
        worker,
        {.kind = kDataMessage, .dataflow = graph_.id(), .channel = id, .extra = 0, .block = block});
  }
}

bool ChannelBase::HasExclusiveCredit() const { return credits_->HasRoom(graph_.worker().index); }

void ChannelBase::CountTaken(const Block& block) {
  WorkerContext& context = graph_.worker();
  const int64_t bytes = ChargedBytes(block);
  context.run.flow_control().AddTaken(context.index, bytes);
  credits_->AddTaken(context.index, static_cast<int>(block.sender), bytes);
  context.took_bytes = true;
  if (context.run.flow_control().TakeStarving()) context.endpoint.WakeAll();
}

// ---- Building ----

Graph::Graph(WorkerContext& worker, uint32_t id, std::string name)
    : worker_(worker), id_(id), name_(std::move(name)), root_(tracker_.AddScope<Epoch>()) {
  completion_ = root_.AddLocation();
  NameLocation(completion_, "the end of the dataflow");
}

Graph::~Graph() {
  for (CapabilityLedgerBase* ledger : ledgers_) ledger->Close();
  for (ChannelBase* channel : channels_) channel->target().Discard();
  nodes_.clear();  // with the state that the logic holds
  while (!owned_.empty()) {
    Owned object = owned_.back();
    owned_.pop_back();
    object.destroy(object.object);
  }
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

bool Graph::Reaches(const OutputPortBase* from, const OutputPortBase& loop) const {
  if (from == &loop) return true;
  // A port of another cycle stands for the ports that feed that cycle.
  for (const ConnectedPorts& connected : connected_ports_) {
    if (connected.loop != from) continue;
    for (const OutputPortBase* port : connected.ports) {
      if (Reaches(port, loop)) return true;
    }
  }
  return false;
}

bool Graph::ConnectPorts(OutputPortBase& loop, const std::vector<OutputPortBase*>& ports) {
  for (const OutputPortBase* port : ports) {
    if (Reaches(port, loop)) return false;
  }
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
  return worker_.run.CheckSameGraph(id_, worker_.index, steps_);
}

// ---- Running ----

void Graph::MarkActive() {
  if (active_ || !built_) return;
  active_ = true;
  worker_.active_graphs.push_back(this);
}

void Graph::Activate(Node& node) {
  if (node.active) return;
  node.active = true;
  ready_.push_back(&node);
  MarkActive();
}

void Graph::ActivateByIndex(uint32_t node_index) {
  if (node_index < nodes_.size()) Activate(*nodes_[node_index]);
}

void Graph::ActivateAt(Node& node, int64_t nanos) {
  worker_.timers.push_back({nanos, id_, node.index()});
  std::push_heap(worker_.timers.begin(), worker_.timers.end(), std::greater<>());
}

void Graph::DeliverBlock(uint32_t channel, Block* block) {
  if (channel >= channels_.size()) {
    Fail(
        "",
        absl::InvalidArgumentError(
            "another worker sent a batch for a channel that does not exist here: the workers build "
            "different dataflows"));
    worker_.endpoint.Recycle(block);
    return;
  }
  channels_[channel]->target().Accept(block);
}

void Graph::ApplyProgress(std::span<const std::byte> encoded) {
  absl::Status status = tracker_.Apply(encoded);
  if (!status.ok()) Fail("", status);
  needs_propagation_ = true;
  MarkActive();
}

bool Graph::Step() {
  active_ = false;
  bool did_work = Propagate();
  did_work |= ResumeStalled();
  did_work |= RunActiveNodes();
  did_work |= PublishProgress();
  did_work |= Propagate();
  if (!ready_.empty() || unsent_ || tracker_.HasPending()) MarkActive();
  if (!blocked_.empty() || !stalled_.empty()) {
    worker_.run.flow_control().SetStarving();
    MarkActive();
  }
  return did_work;
}

bool Graph::HasWork() const {
  return !ready_.empty() || unsent_ || tracker_.HasPending() || needs_propagation_;
}

bool Graph::Complete() const {
  return built_ && !unsent_ && ready_.empty() && blocked_.empty() && stalled_.empty() &&
         tracker_.Complete();
}

bool Graph::Propagate() {
  if (!needs_propagation_) return false;
  needs_propagation_ = false;
  absl::Status status = tracker_.Propagate();
  if (!status.ok()) {
    Fail("", status);
    return true;
  }
  ActivateWatchers();
  return true;
}

void Graph::ActivateWatchers() {
  for (LocationId location : tracker_.changed()) {
    for (Node* node : watchers_[location]) Activate(*node);
  }
}

bool Graph::RunActiveNodes() {
  for (Node* node : blocked_) ready_.push_back(node);
  blocked_.clear();
  bool ran = false;
  // What is activated meanwhile runs as well, so that a batch goes through the whole graph in one
  // step; the limit lets frames from other workers in when a cycle goes round and round.
  size_t budget = 2 * nodes_.size() + 16;
  while (!ready_.empty() && budget > 0) {
    running_.swap(ready_);
    for (Node* node : running_) {
      const size_t blocked = blocked_.size();
      RunNode(*node);
      ran |= blocked_.size() == blocked;
      if (budget > 0) --budget;
    }
    running_.clear();
    if (worker_.run.failed()) break;
  }
  return ran;
}

void Graph::AwaitCredit(Node& node) {
  node.active = true;
  blocked_.push_back(&node);
}

void Graph::RunNode(Node& node) {
  try {
    if (!node.checks_credit_itself) {
      for (OutputPortBase* output : node.outputs) {
        if (!HasCredit(*output)) {
          AwaitCredit(node);
          return;
        }
      }
    }
    node.active = false;
    node.taken = 0;
    GuardStep(node.step_id(), [&] {
      node.logic();
      for (OutputPortBase* output : node.outputs) output->Flush();
    });
  } catch (const StepFailed&) {
    return;
  }
  for (InputPortBase* input : node.inputs) {
    if (!input->empty()) {
      Activate(node);
      return;
    }
  }
}

bool Graph::PublishProgress() {
  const bool alone = worker_.count == 1;
  if (unsent_) {
    if (!worker_.endpoint.TryPublishProgress(id_, encoded_)) return false;
    unsent_ = false;
  }
  if (!tracker_.HasPending()) return false;
  encoded_.clear();
  if (!tracker_.Publish(alone ? nullptr : &encoded_)) return false;
  needs_propagation_ = true;
  // When the log is full the round waits here, and the next ones add up in the tracker until there
  // is room.
  if (!alone) unsent_ = !worker_.endpoint.TryPublishProgress(id_, encoded_);
  return true;
}

// ---- Failures ----

void Graph::Fail(std::string_view step_id, const absl::Status& status) {
  std::string where = step_id.empty() ? absl::StrFormat("dataflow '%s'", name_)
                                      : absl::StrFormat("step '%s'", step_id);
  worker_.run.Fail(absl::Status(
      status.code(),
      absl::StrFormat("%s on worker %d: %s", where, worker_.index, std::string(status.message()))));
}

void Graph::FailAndThrow(std::string_view step_id, const absl::Status& status) {
  Fail(step_id, status);
  throw StepFailed();
}

void Graph::FailWithCurrentException(std::string_view step_id) {
  std::string what = "an exception that is no std::exception";
  try {
    throw;
  } catch (const std::exception& error) {
    what = error.what();
  } catch (...) {
  }
  FailAndThrow(step_id, absl::AbortedError(absl::StrCat("its function threw: ", what)));
}

// ---- Bounded memory ----

bool Graph::HasCreditApartFromHolds(OutputPortBase& port) {
  if (worker_.credit.PoolHasRoom()) return true;
  if (port.node().in_cycle) {
    const FlowControl& flow = worker_.run.flow_control();
    const int64_t exclusive =
        kExclusiveBytes * worker_.count * static_cast<int64_t>(channels_.size());
    if (flow.InFlight() > kCycleLimitFactor * flow.max_bytes_in_flight() + exclusive) {
      FailAndThrow(port.node().step_id(),
                   absl::ResourceExhaustedError(
                       absl::StrFormat("the cycle it belongs to amplifies past the limit: %d bytes "
                                       "are in flight, and max_bytes_in_flight is %d. "
                                       "A cycle may hold twice the limit, and the exclusive credit "
                                       "of its channels; make it produce less for "
                                       "each record, feed it less at a time, or "
                                       "raise max_bytes_in_flight",
                                       flow.InFlight(), flow.max_bytes_in_flight())));
    }
    return true;
  }
  return std::all_of(port.channels.begin(), port.channels.end(),
                     [](ChannelBase* channel) { return channel->HasExclusiveCredit(); });
}

bool Graph::MayGoOn(OutputPortBase& port, const Resumable& transform) {
  for (Resumable* stalled : stalled_) {
    if (stalled->build_index > transform.build_index && stalled->Holds(port)) return false;
  }
  return HasCreditApartFromHolds(port);
}

void Graph::AddStalled(Resumable* transform) {
  if (std::find(stalled_.begin(), stalled_.end(), transform) != stalled_.end()) return;
  stalled_.push_back(transform);
  // Downstream first: what stands before can go on only when those behind it have caught up.
  std::sort(stalled_.begin(), stalled_.end(),
            [](Resumable* a, Resumable* b) { return a->build_index > b->build_index; });
  MarkActive();
}

bool Graph::ResumeStalled() {
  if (stalled_.empty()) return false;
  bool did_work = false;
  const std::vector<Resumable*> transforms = stalled_;
  for (Resumable* transform : transforms) {
    try {
      GuardStep("", [&] { did_work |= transform->Resume(); });
    } catch (const StepFailed&) {
      return true;
    }
    if (transform->Done()) std::erase(stalled_, transform);
  }
  return did_work;
}

}  // namespace headway::internal
