#include "engine/graph/graph.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/graph/capability.h"
#include "engine/graph/channel.h"
#include "engine/graph/unread_inputs.h"
#include "engine/network/remote_sender.h"
#include "format.h"

namespace headway::internal {

Graph::Graph(WorkerContext& worker, uint32_t id, std::string name)
    : worker_(worker),
      id_(id),
      errors_(worker, name_),
      queue_(*this, worker, id),
      credit_(worker, errors_, queue_),
      push_(errors_),
      outbox_(worker, id),
      completion_(tracker_),
      name_(std::move(name)) {}

Graph::~Graph() {
  objects_.RunAtEnd();
  for (CapabilityLedgerBase* ledger : parts_.ledgers) ledger->Close();
  for (ChannelBase* channel : parts_.channels) channel->target().Discard();
  parts_.nodes.clear();  // with the state that their logic holds
  objects_.Clear();
}

GraphBuilder& Graph::builder(std::string_view step_id) {
  if (builder_ == nullptr) {
    errors_.FailAndThrow(step_id, absl::InvalidArgumentError(absl::StrCat(
                                      "its stream belongs to the dataflow '", name_,
                                      "', which is built already; use a stream only in the "
                                      "function that builds its dataflow")));
  }
  return *builder_;
}

void Graph::ActivateByIndex(uint32_t node_index, bool by_thread) {
  if (node_index >= parts_.nodes.size()) return;
  Node& node = *parts_.nodes[node_index];
  node.woken |= by_thread;
  queue_.Activate(node);
}

void Graph::ApplyProgress(int from, std::span<const std::byte> encoded) {
  absl::Status status = tracker_.Apply(encoded);
  if (!status.ok()) {
    errors_.Fail("", absl::Status(status.code(),
                                  Format("from %s: %s", worker_.attempt().DescribeEndpoint(from),
                                         std::string(status.message()))));
  }
  needs_propagation_ = true;
  queue_.MarkActive();
}

inline bool Graph::Propagate() {
  if (!needs_propagation_) return false;
  needs_propagation_ = false;
  absl::Status status = tracker_.Propagate();
  if (!status.ok()) {
    errors_.Fail("", status);
    return true;
  }
  if (!tracker_.changed().empty()) ActivateWatchers();
  return true;
}

bool Graph::Step() {
  queue_.BeginStep();
  bool progressed = Propagate();
  bool did_work = !credit_.empty() && credit_.BeginStep();
  did_work |= RunActiveNodes();
  // An activation that failed has taken batches that it did not pass on: its progress is not
  // published.
  if (worker_.failed()) return true;
  if (outbox_.Publish(tracker_)) needs_propagation_ = true;
  progressed |= Propagate();
  if (!queue_.empty() || outbox_.unsent() || tracker_.HasPending()) queue_.MarkActive();
  if (!credit_.empty()) {
    credit_.EndStep();
    WatchUnreadInputs(*this, progressed);
  }
  queue_.EndStep();
  return did_work || progressed;
}

bool Graph::HasWork() const {
  return !queue_.empty() || outbox_.unsent() || tracker_.HasPending() || needs_propagation_;
}

void Graph::ActivateWatchers() {
  for (LocationId location : tracker_.changed()) {
    for (Node* node : parts_.watchers[location]) queue_.Activate(*node);
  }
}

void Graph::FailKeptSession(const Node& node) {
  errors_.FailAndThrow(node.step_id(),
                       absl::FailedPreconditionError(
                           "a session of one of its outputs was kept when the logic returned; a "
                           "session ends before the call that began it"));
}

inline void Graph::RunNode(Node& node) {
  try {
    if (!node.checks_credit_itself) {
      for (OutputPortBase* output : node.outputs) {
        if (!credit_.HasCredit(*output)) {
          credit_.Await(node);
          return;
        }
      }
    }
    node.active = false;
    node.taken = 0;
    node.running = true;
    errors_.Guard(node.step_id(), [&] {
      node.logic();
      for (OutputPortBase* output : node.outputs) {
        if (!output->has_sent) continue;
        if (output->open_sessions != 0) [[unlikely]] {
          FailKeptSession(node);
        }
        output->has_sent = false;
        output->Flush();
      }
      if (node.watermark.changed != nullptr) [[unlikely]] {
        const Watermark watermark = node.OutputWatermark();
        std::exchange(node.watermark.changed, nullptr)->ForwardWatermark(watermark);
      }
    });
    node.running = false;
  } catch (const StepFailed&) {
    return;
  }
  if (node.takes_nothing) return;
  for (InputPortBase* input : node.inputs) {
    if (!input->empty()) {
      if (node.taken > 0) {
        queue_.Activate(node);
      } else {
        credit_.AwaitReading(node);
      }
      return;
    }
  }
}

bool Graph::RunActiveNodes() {
  credit_.Retry();
  bool ran = false;
  // Nodes that are activated meanwhile run as well, so that a batch passes the whole graph in one
  // step. The limit lets frames of other workers in when a cycle does not come to rest.
  const size_t limit = 2 * parts_.nodes.size() + 16;
  size_t next = 0;
  for (; next < queue_.size() && next < limit && !worker_.failed(); ++next) {
    const size_t waiting = credit_.waiting_count();
    RunNode(queue_[next]);
    ran |= credit_.waiting_count() == waiting;
  }
  queue_.PopFront(next);
  return ran;
}

}  // namespace headway::internal
