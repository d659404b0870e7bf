#include "engine/network/run_signals.h"

#include <algorithm>
#include <utility>

#include "comm/wire/wire_generated.h"
#include "engine/runtime/failure_origin.h"

namespace headway::internal {

RunSignals::RunSignals(Peers& peers)
    : peers_(peers), ended_(static_cast<size_t>(peers.topology().process_count)) {
  ended_[static_cast<size_t>(peers.topology().process)] = true;
}

void RunSignals::Send() {
  Attempt& attempt = peers_.attempt();
  if (attempt.failure().occurred() && !std::exchange(abort_sent_, true)) {
    peers_.SendToAll(FrameClass::kAbort, encoder_.Abort(attempt.failure().status()));
  }
  if (attempt.run().stop_requested() && !std::exchange(stop_sent_, true)) {
    peers_.SendToAll(FrameClass::kControl, encoder_.Stop());
  }
}

void RunSignals::SendGoodbye() { peers_.SendToAll(FrameClass::kGoodbye, encoder_.Goodbye()); }

void RunSignals::OnStop() { peers_.attempt().run().RequestStop(); }

void RunSignals::OnAbort(int process, const wire::Frame& frame) {
  ended_[static_cast<size_t>(process)] = true;
  const absl::Status cause = ReadAbort(frame);
  peers_.attempt().failure().Report(absl::IsUnavailable(cause) ? MarkTold(cause) : cause);
}

void RunSignals::OnLoss(int process, const absl::Status& cause) {
  ended_[static_cast<size_t>(process)] = true;
  peers_.attempt().failure().Report(absl::IsUnavailable(cause) ? MarkLoss(cause) : cause);
}

bool RunSignals::AllEnded() const {
  return std::all_of(ended_.begin(), ended_.end(), [](bool ended) { return ended; });
}

}  // namespace headway::internal
