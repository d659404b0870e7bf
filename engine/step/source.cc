#include "engine/step/source.h"

#include <algorithm>
#include <limits>

namespace headway::internal {

EpochClock::EpochClock(Graph& graph, Node& node, Capability<Epoch> capability)
    : graph_(graph), node_(node), capability_(std::move(capability)) {
  const EpochConfig& config = graph.worker().run.options().epoch_config;
  if (const auto* periodic = std::get_if<PeriodicEpochConfig>(&config)) {
    epoch_length_nanos_ = std::max<int64_t>(1, absl::ToInt64Nanoseconds(periodic->epoch_length));
    epoch_end_nanos_ = Later(graph.worker().NowNanos(), epoch_length_nanos_);
    graph_.queue().ActivateAt(node_, epoch_end_nanos_);
  }
}

int64_t EpochClock::Budget() {
  const auto max_in_flight = static_cast<Epoch>(graph_.worker().run.options().max_epochs_in_flight);
  const FrontierView<Epoch> completed = graph_.completion().frontier();
  const Epoch epoch = capability_.time();
  if (epoch >= max_in_flight && completed.LessEqual(epoch - max_in_flight)) return 0;
  return testing() ? 1 : std::numeric_limits<int64_t>::max();
}

void EpochClock::AfterPoll() {
  if (testing()) capability_.Downgrade(capability_.time() + 1);
}

void EpochClock::CloseDueEpochs() {
  if (testing()) return;
  const int64_t now = graph_.worker().NowNanos();
  if (now < epoch_end_nanos_) return;
  capability_.Downgrade(capability_.time() + 1);
  epoch_end_nanos_ = Later(now, epoch_length_nanos_);
  graph_.queue().ActivateAt(node_, epoch_end_nanos_);
}

}  // namespace headway::internal
