#include "engine/step/source.h"

#include <algorithm>
#include <limits>

namespace headway::internal {

EpochClock::EpochClock(Graph& graph, Node& node, Capability<Epoch> capability,
                       EpochParticipant& participant)
    : graph_(graph), node_(node), capability_(std::move(capability)), participant_(participant) {
  const EpochConfig& config = graph.worker().run().options().epoch_config;
  if (const auto* periodic = std::get_if<PeriodicEpochConfig>(&config)) {
    epoch_length_nanos_ = std::max<int64_t>(1, absl::ToInt64Nanoseconds(periodic->epoch_length));
    epoch_end_nanos_ = Alarm::Later(graph.worker().NowNanos(), epoch_length_nanos_);
    graph_.queue().ActivateAt(node_, epoch_end_nanos_);
  }
}

int64_t EpochClock::Budget() {
  const auto max_in_flight =
      static_cast<Epoch>(graph_.worker().run().options().max_epochs_in_flight);
  const FrontierView<Epoch> completed = graph_.completion().frontier();
  const Epoch epoch = capability_.time();
  if (epoch >= max_in_flight && completed.LessEqual(epoch - max_in_flight)) return 0;
  return testing() ? 1 : std::numeric_limits<int64_t>::max();
}

void EpochClock::AfterPoll() {
  if (testing()) AdvanceTo(capability_.time() + 1);
}

void EpochClock::CloseDueEpochs() {
  if (testing()) return;
  const int64_t now = graph_.worker().NowNanos();
  if (now < epoch_end_nanos_) return;
  AdvanceTo(capability_.time() + 1);
  epoch_end_nanos_ = Alarm::Later(now, epoch_length_nanos_);
  graph_.queue().ActivateAt(node_, epoch_end_nanos_);
}

void EpochClock::Finish() {
  participant_.TellClosed(capability_.time());
  capability_.Drop();
}

void EpochClock::StopAt(Epoch epoch) {
  if (capability_.held() && epoch > capability_.time()) AdvanceTo(epoch);
}

// The capability is held while the participant is told: it keeps the epoch open until then.
void EpochClock::AdvanceTo(Epoch epoch) {
  participant_.TellClosed(capability_.time());
  capability_.Downgrade(epoch);
}

}  // namespace headway::internal
