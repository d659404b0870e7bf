#include "engine/step/epoch_clock.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"

namespace headway::internal {

EpochClock::EpochClock(Graph& graph, Node& node, Capability<Epoch> capability,
                       EpochParticipant& participant, const EpochConfig& config)
    : graph_(graph),
      node_(node),
      capability_(std::move(capability)),
      participant_(participant),
      alarm_(graph, node),
      max_in_flight_(static_cast<size_t>(graph.worker().run().options().max_epochs_in_flight)),
      snapshots_(graph.worker().run().options()) {
  const absl::Status valid = ValidateEpochConfig(config);
  if (!valid.ok()) graph.errors().FailAndThrow(node.step_id(), valid);
  if (const auto* periodic = std::get_if<PeriodicEpochConfig>(&config)) {
    length_nanos_ = std::max<int64_t>(1, absl::ToInt64Nanoseconds(periodic->epoch_length));
  } else if (const auto* counted = std::get_if<RecordCountEpochConfig>(&config)) {
    records_per_epoch_ = counted->records_per_epoch;
  } else if (std::holds_alternative<TestingEpochConfig>(config)) {
    records_per_epoch_ = 1;
    closes_when_idle_ = true;
  }
  BeginEpoch();
}

bool EpochClock::IsPaused() {
  const FrontierView<Epoch> incomplete = graph_.completion().frontier();
  while (!closed_.empty() && !incomplete.LessEqual(closed_.front())) closed_.pop_front();
  return closed_.size() >= max_in_flight_;
}

int64_t EpochClock::Budget() {
  paused_ = IsPaused();
  return paused_ ? 0 : records_left_;
}

void EpochClock::AfterPoll(int64_t emitted) {
  if (records_left_ != kUnlimited) records_left_ -= emitted;
  if (records_left_ <= 0 || (closes_when_idle_ && emitted == 0)) AdvanceTo(epoch() + 1);
}

void EpochClock::CloseDueEpochs() {
  if (!is_timed()) return;
  const int64_t now = graph_.worker().NowNanos();
  if (!IsDue(now)) return alarm_.Set(now, end_nanos_);
  if (IsPaused()) return;
  if (std::exchange(paused_, false)) {
    BeginEpoch();  // with its whole length, though it was paused: it has to emit first
    return;
  }
  // The next epoch may emit at once, unless only one may be incomplete.
  const size_t max_closed = std::max<size_t>(max_in_flight_ - 1, 1);
  if (closed_.size() < max_closed) AdvanceTo(epoch() + 1);
}

void EpochClock::Advance(std::optional<Epoch> next) {
  if (next.has_value() && *next < epoch()) {
    graph_.errors().FailAndThrow(
        node_.step_id(),
        absl::FailedPreconditionError(absl::StrFormat(
            "its reader returned SourceState::AdvanceTo(%d), but is in epoch %d already; return "
            "that epoch or a later one",
            *next, epoch())));
  }
  if (next.has_value() && *next >= kStopEpoch) {
    graph_.errors().FailAndThrow(
        node_.step_id(),
        absl::FailedPreconditionError(absl::StrFormat(
            "its reader returned SourceState::AdvanceTo(%d); an epoch must be less than %d", *next,
            kStopEpoch)));
  }
  const Epoch to = next.value_or(epoch() + 1);
  if (to != epoch()) AdvanceTo(to);
}

void EpochClock::Finish() {
  TellLastSnapshot();
  capability_.Drop();
}

void EpochClock::Stop() {
  if (finished() || epoch() >= kStopEpoch) return;
  TellLastSnapshot();
  capability_.Downgrade(kStopEpoch);
}

std::optional<Epoch> EpochClock::AwaitedEpoch() {
  if (finished() || epoch() >= kStopEpoch) return std::nullopt;
  const bool must_pause = IsPaused();
  const bool lengthened = is_timed() && IsDue(graph_.worker().NowNanos()) && !closed_.empty();
  return must_pause || lengthened ? std::optional(closed_.front()) : std::nullopt;
}

void EpochClock::BeginEpoch() {
  records_left_ = records_per_epoch_;
  if (!is_timed()) return;
  const int64_t now = graph_.worker().NowNanos();
  end_nanos_ = Alarm::Later(now, length_nanos_);
  alarm_.Set(now, end_nanos_);
}

// Closes the current epoch, and the one in which its snapshot is taken.
void EpochClock::TellLastSnapshot() {
  const Epoch last = snapshots_.LastOf(epoch());
  participant_.TellClosed(epoch());
  if (last > epoch()) participant_.TellClosed(last);
}

// The capability is held while the participant is told: it keeps the epoch open until then.
void EpochClock::AdvanceTo(Epoch epoch) {
  if (snapshots_.LastOf(capability_.time()) < epoch) {
    TellLastSnapshot();
  } else {
    participant_.TellClosed(capability_.time());
  }
  closed_.push_back(capability_.time());
  capability_.Downgrade(epoch);
  BeginEpoch();
}

}  // namespace headway::internal
