#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/graph/channel.h"
#include "engine/graph/graph.h"

// How a Graph keeps memory bounded: which nodes and transforms wait for credit, and when they go
// on.

namespace headway::internal {

namespace {

// A cycle may hold this many times the limit before it is found to amplify: what it turns over and
// what it makes of it.
constexpr int64_t kCycleLimitFactor = 2;

}  // namespace

void Graph::AwaitCredit(Node& node) {
  node.active = true;
  blocked_.push_back(&node);
}

bool Graph::HasCreditWithoutRoom(OutputPortBase& port) {
  if (port.node().in_cycle) {
    const FlowControl& flow = worker_.run.flow_control();
    const int64_t exclusive =
        kExclusiveBytes * worker_.count * static_cast<int64_t>(channels_.size());
    // A run does not end for what only seemed to be in flight.
    const int64_t in_flight = flow.InFlightAtLeast();
    if (in_flight > kCycleLimitFactor * flow.max_bytes_in_flight() + exclusive) {
      FailAndThrow(
          port.node().step_id(),
          absl::ResourceExhaustedError(absl::StrFormat(
              "the cycle it belongs to amplifies past the limit: %d bytes are in flight, and the "
              "part of this process in max_bytes_in_flight is %d. A cycle may hold twice "
              "that, and the exclusive credit of its channels; make it produce less for "
              "each record, feed it less at a time, or raise max_bytes_in_flight",
              in_flight, flow.max_bytes_in_flight())));
    }
    return true;
  }
  return std::all_of(port.channels.begin(), port.channels.end(),
                     [](ChannelBase* channel) { return channel->HasExclusiveCredit(); });
}

void Graph::FailNestedPush(const OutputPortBase& port) {
  FailAndThrow(port.node().step_id(),
               absl::FailedPreconditionError(
                   "records were sent to it by a function of the same dataflow that was called "
                   "with a batch; keep them, and send them when the worker's step is over"));
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
