#include "engine/graph/credit_gate.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "engine/graph/channel.h"

namespace headway::internal {
namespace {

// A cycle may hold this many times the credit by which it can be fed before it counts as
// amplifying: the batches that it turns over, and those that it makes of them.
constexpr int64_t kCycleLimitFactor = 2;

}  // namespace

bool CreditGate::HasCreditWithoutRoom(OutputPortBase& port) {
  if (port.node().in_cycle()) CheckCycle(port);
  return HasExclusiveCredit(port);
}

// Batches that leave a cycle wait for the steps behind it, as all others do. These never wait for
// the cycle, so it continues once they have taken enough.
bool CreditGate::HasExclusiveCredit(const OutputPortBase& port) {
  const Node& node = port.node();
  return std::all_of(port.channels.begin(), port.channels.end(), [&](ChannelBase* channel) {
    const bool stays_in_cycle = node.in_cycle() && channel->target().node().cycle == node.cycle;
    return stays_in_cycle || channel->HasExclusiveCredit();
  });
}

bool CreditGate::HostHasCredit(OutputPortBase& port) {
  if (HasCredit(port)) return true;
  if (std::find(asked_.begin(), asked_.end(), &port) == asked_.end()) asked_.push_back(&port);
  waits_ = true;
  queue_.MarkActive();
  return false;
}

void CreditGate::CheckCycle(const OutputPortBase& port) {
  const FlowControl& flow = worker_.attempt().flow_control();
  const int64_t limit = kCycleLimitFactor * flow.max_bytes_in_flight();
  // Lower bounds: an estimate that is too high must not end a run. The bytes of the whole process
  // are cheaper to read than those of the cycle.
  if (flow.InFlightAtLeast() <= limit) return;
  const int cycle = port.node().cycle;
  const int64_t in_flight = cycles_.BytesInFlightAtLeast(cycle);
  const int64_t exclusive =
      kExclusiveBytes * worker_.count() * static_cast<int64_t>(cycles_.ChannelCount(cycle));
  if (in_flight <= limit + kCycleLimitFactor * exclusive) return;
  errors_.FailAndThrow(
      port.node().step_id(),
      absl::ResourceExhaustedError(absl::StrFormat(
          "the cycle it belongs to amplifies past the limit: it has %d bytes in flight, and this "
          "process's part of max_bytes_in_flight is %d. A cycle may hold twice that and the "
          "exclusive credit of its channels; produce less for each record, feed the cycle less at "
          "a time, or raise max_bytes_in_flight",
          in_flight, flow.max_bytes_in_flight())));
}

bool CreditGate::MayContinue(OutputPortBase& port, const Resumable& transform) {
  return !IsStalledBehind(port, transform) && HasCreditApartFromHolds(port);
}

bool CreditGate::IsStalledBehind(const OutputPortBase& port, const Resumable& transform) const {
  return std::any_of(stalled_.begin(), stalled_.end(), [&](const Resumable* stalled) {
    return stalled->build_index > transform.build_index && stalled->Holds(port);
  });
}

void CreditGate::AddStalled(Resumable& transform) {
  if (std::find(stalled_.begin(), stalled_.end(), &transform) != stalled_.end()) return;
  stalled_.push_back(&transform);
  waits_ = true;
  // A transform can continue only when those downstream of it have caught up.
  std::sort(stalled_.begin(), stalled_.end(),
            [](Resumable* a, Resumable* b) { return a->build_index > b->build_index; });
  queue_.MarkActive();
}

bool CreditGate::IsBlocked(const Node& node) const {
  return std::find(blocked_.begin(), blocked_.end(), &node) != blocked_.end();
}

bool CreditGate::BeginStep() {
  worker_.attempt().credit_standstill().Works(worker_.local_index());
  asked_before_.swap(asked_);
  asked_.clear();
  return Resume();
}

void CreditGate::EndStep() {
  const bool starves =
      !blocked_.empty() || !stalled_.empty() || !asked_.empty() || !asked_before_.empty();
  waits_ = starves || !leaving_unread_.empty();
  if (starves) worker_.attempt().flow_control().SetStarving();
  if (waits_) queue_.MarkActive();
}

bool CreditGate::MayContinueAny() const {
  if (!leaving_unread_.empty()) return true;
  const bool has_room = worker_.PoolHasRoom();
  const auto may_continue = [&](const OutputPortBase* port) {
    return port->hold_count == 0 && (has_room || HasExclusiveCredit(*port));
  };
  return std::any_of(blocked_.begin(), blocked_.end(),
                     [&](const Node* node) {
                       return std::all_of(node->outputs.begin(), node->outputs.end(), may_continue);
                     }) ||
         std::any_of(asked_before_.begin(), asked_before_.end(), may_continue) ||
         std::any_of(stalled_.begin(), stalled_.end(), [&](const Resumable* transform) {
           return transform->AnyPort([&](const OutputPortBase& port) {
             return !IsStalledBehind(port, *transform) && (has_room || HasExclusiveCredit(port));
           });
         });
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
