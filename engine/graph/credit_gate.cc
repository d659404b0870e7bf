#include "engine/graph/credit_gate.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "engine/graph/channel.h"

namespace headway::internal {
namespace {

// A cycle may hold this many times the limit before it counts as amplifying: the batches that it
// turns over, and those that it makes of them.
constexpr int64_t kCycleLimitFactor = 2;

}  // namespace

bool CreditGate::HasCreditWithoutRoom(OutputPortBase& port) {
  if (port.node().in_cycle) {
    CheckCycle(port);
    return true;
  }
  return std::all_of(port.channels.begin(), port.channels.end(),
                     [](ChannelBase* channel) { return channel->HasExclusiveCredit(); });
}

void CreditGate::CheckCycle(const OutputPortBase& port) {
  const FlowControl& flow = worker_.attempt().flow_control();
  const int64_t exclusive =
      kExclusiveBytes * worker_.count() * static_cast<int64_t>(channel_count_);
  // A lower bound: an estimate that is too high must not end a run.
  const int64_t in_flight = flow.InFlightAtLeast();
  if (in_flight <= kCycleLimitFactor * flow.max_bytes_in_flight() + exclusive) return;
  errors_.FailAndThrow(
      port.node().step_id(),
      absl::ResourceExhaustedError(absl::StrFormat(
          "the cycle it belongs to amplifies past the limit: %d bytes are in flight, and this "
          "process's part of max_bytes_in_flight is %d. A cycle may hold twice that, and the "
          "exclusive credit of its channels; produce less for each record, feed the cycle less at "
          "a time, or raise max_bytes_in_flight",
          in_flight, flow.max_bytes_in_flight())));
}

bool CreditGate::MayContinue(OutputPortBase& port, const Resumable& transform) {
  for (Resumable* stalled : stalled_) {
    if (stalled->build_index > transform.build_index && stalled->Holds(port)) return false;
  }
  return HasCreditApartFromHolds(port);
}

void CreditGate::AddStalled(Resumable& transform) {
  if (std::find(stalled_.begin(), stalled_.end(), &transform) != stalled_.end()) return;
  stalled_.push_back(&transform);
  // A transform can continue only when those downstream of it have caught up.
  std::sort(stalled_.begin(), stalled_.end(),
            [](Resumable* a, Resumable* b) { return a->build_index > b->build_index; });
  queue_.MarkActive();
}

bool CreditGate::Resume() {
  bool did_work = false;
  const std::vector<Resumable*> transforms = stalled_;
  for (Resumable* transform : transforms) {
    try {
      errors_.Guard("", [&] { did_work |= transform->Resume(); });
    } catch (const StepFailed&) {
      return true;
    }
    if (transform->Done()) std::erase(stalled_, transform);
  }
  return did_work;
}

}  // namespace headway::internal
