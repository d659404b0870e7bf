#include "engine/step/outbox_node.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "comm/codec/stable_hash.h"
#include "comm/wire/printable.h"
#include "engine/graph/graph_builder.h"
#include "engine/runtime/config.h"
#include "engine/store/row.h"

namespace headway::internal {
namespace {

// A chunk of an outbox is an entry of its lane, with a part of epoch and number that sorts.
constexpr size_t kPartBytes = 12;

std::array<std::byte, kPartBytes> PartOf(Epoch epoch, size_t chunk) {
  std::array<std::byte, kPartBytes> part;
  for (size_t i = 0; i < 8; ++i) part[i] = static_cast<std::byte>(epoch >> (56 - 8 * i));
  for (size_t i = 0; i < 4; ++i) part[8 + i] = static_cast<std::byte>(chunk >> (24 - 8 * i));
  return part;
}

// The entry without a part has the last epoch that is published.
constexpr size_t kEpochBytes = 8;

Epoch EpochOfBytes(std::span<const std::byte> bytes) {
  Epoch epoch = 0;
  for (size_t i = 0; i < kEpochBytes; ++i) epoch = epoch << 8 | static_cast<Epoch>(bytes[i]);
  return epoch;
}

// Whole epochs share a transaction up to so many bytes, so that it stays far from the limits of
// outside systems.
constexpr size_t kTransactionBytes = size_t{16} << 20;

std::string_view ViewOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

OutboxNodeBase::OutboxNodeBase(Graph& graph, Node& node, bool one_lane)
    : EpochParticipant(node.step_id()),
      graph_(graph),
      node_(node),
      one_lane_(one_lane),
      recovers_(graph.worker().attempt().resume_point().recovery != nullptr),
      alarm_(graph, node) {
  const Epoch first = graph.worker().attempt().resume_point().first_epoch;
  if (first > 0) committed_ = first - 1;
  graph.builder().AddOutbox(*this);
}

void OutboxNodeBase::Snapshot(absl::FunctionRef<void(const StateEntry&)> write) {
  for (auto& [name, lane] : lanes_) {
    // 0 belongs to worker 0, however many there are.
    StateEntry entry{.key = std::as_bytes(std::span(name)),
                     .state = std::nullopt,
                     .hash = one_lane_ ? 0 : StableHash(name)};
    if (!lane->published_.empty()) {
      lane->published_through_ = lane->published_.back().epoch;
      const auto through = PartOf(*lane->published_through_, 0);
      entry.state = std::span(through).first(kEpochBytes);
      write(entry);
      entry.state.reset();
    }
    for (const SinkLane::Published& published : lane->published_) {
      for (size_t i = 0; i < published.chunks; ++i) {
        const auto part = PartOf(published.epoch, i);
        entry.part = part;
        write(entry);
      }
    }
    lane->published_.clear();
    for (auto& [epoch, closed] : lane->closed_) {
      if (std::exchange(closed.is_stored, true)) continue;
      const std::vector<std::string>& chunks = closed.outbox.chunks();
      for (size_t i = 0; i < chunks.size(); ++i) {
        const auto part = PartOf(epoch, i);
        entry.part = part;
        entry.state = std::as_bytes(std::span(chunks[i]));
        write(entry);
      }
    }
  }
}

absl::Status OutboxNodeBase::Restore(const StateEntry& entry) {
  const std::string name(ViewOf(entry.key));
  const bool is_through =
      entry.part.empty() && entry.state.has_value() && entry.state->size() == kEpochBytes;
  if ((entry.part.size() != kPartBytes && !is_through) || (one_lane_ && name != kOnlyLane)) {
    return absl::InvalidArgumentError(
        "a snapshot has state for this step that is no outbox of its sink; resume with the program "
        "that took the snapshot");
  }
  if (!entry.state.has_value()) return absl::OkStatus();  // published
  if (is_through) {
    restored_[name].published_through = EpochOfBytes(*entry.state);
    return absl::OkStatus();
  }
  const Epoch epoch = EpochOfBytes(entry.part);
  SinkLane::Closed& closed = restored_[name].closed[epoch];
  closed.is_stored = true;
  if (closed.outbox.Restore(ViewOf(*entry.state))) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "the outbox of the lane '%s' and epoch %d is malformed; restore the store from a copy",
      Printable(name), epoch));
}

const std::string* OutboxNodeBase::FirstRestored() const {
  return restored_.empty() ? nullptr : &restored_.begin()->first;
}

SinkLane* OutboxNodeBase::Find(std::string_view name) const {
  const auto found = lanes_.find(name);
  return found == lanes_.end() ? nullptr : found->second.get();
}

SinkLane* OutboxNodeBase::Add(const std::string& name, std::unique_ptr<SinkLane> lane) {
  lane->name_ = name;
  if (recovers_) {
    auto restored = restored_.extract(name);
    if (!restored.empty()) lane->published_through_ = restored.mapped().published_through;
    const absl::StatusOr<std::optional<uint64_t>> mark = lane->LastMark(lane->published_through_);
    Check(mark.status());
    CheckMark(name, *mark, lane->published_through_);
    if (!restored.empty()) {
      for (auto& [epoch, closed] : restored.mapped().closed) {
        if (mark->has_value() && epoch <= **mark) {
          lane->published_.push_back({epoch, closed.outbox.chunks().size()});
        } else {
          lane->closed_.emplace(epoch, std::move(closed));
          has_committed_ = true;
        }
      }
    }
  }
  return lanes_.emplace(name, std::move(lane)).first->second.get();
}

void OutboxNodeBase::CheckMark(const std::string& name, std::optional<uint64_t> mark,
                               std::optional<Epoch> published_through) {
  const Epoch first = graph_.worker().attempt().resume_point().first_epoch;
  if (mark.has_value() && *mark >= first) {
    Check(absl::FailedPreconditionError(absl::StrFormat(
        "the lane '%s' of the sink has published epoch %d already, and the run resumes at epoch "
        "%d: its recovery store is an older copy or a new one; resume from the newest one, or "
        "remove the mark of the lane in the outside system, which then gets those epochs twice",
        Printable(name), *mark, first)));
  }
  if (published_through.has_value() && (!mark.has_value() || *mark < *published_through)) {
    Check(absl::FailedPreconditionError(absl::StrFormat(
        "the lane '%s' of the sink has published epoch %d, and the outside system has no mark of "
        "it: the mark was removed, or the sink or the step has another name now; restore the mark, "
        "or drop the state of the step with `headway recovery drop-step`",
        Printable(name), *published_through)));
  }
}

void OutboxNodeBase::SetCommitted(Epoch end, Node& told) {
  told_ = &told;
  if (end > 0 && committed_ < end - 1) {
    committed_ = end - 1;
    has_committed_ = true;
    if (any_waits_) ask_at_nanos_ = 0;
  }
  if (has_committed_) graph_.queue().Activate(node_);
}

Epoch OutboxNodeBase::published_end() const {
  Epoch end = committed_.has_value() ? *committed_ + 1 : 0;
  if (!has_committed_) return end;
  for (const auto& [name, lane] : lanes_) {
    if (!lane->closed_.empty()) end = std::min(end, lane->closed_.begin()->first);
  }
  return end;
}

size_t OutboxNodeBase::Backlog() const {
  size_t most = 0;
  for (const auto& [name, lane] : lanes_) {
    if (!lane->is_under_way_ && !lane->epochs_.empty()) continue;
    most = std::max(
        most, static_cast<size_t>(std::distance(lane->closed_.begin(), EndOfCommitted(*lane))));
  }
  return most;
}

bool OutboxNodeBase::MayAsk() {
  if (ask_at_nanos_ == 0 || std::exchange(node_.woken, false)) return true;
  const int64_t now = graph_.worker().NowNanos();
  if (now >= ask_at_nanos_) return true;
  alarm_.Set(now, ask_at_nanos_);
  return false;
}

void OutboxNodeBase::Collect(SinkLane& lane) {
  const auto end = EndOfCommitted(lane);
  auto closed = lane.epochs_.empty() ? lane.closed_.begin()
                                     : lane.closed_.upper_bound(lane.epochs_.back().epoch);
  for (; closed != end && lane.byte_count_ < kTransactionBytes; ++closed) {
    lane.byte_count_ += closed->second.outbox.byte_count();
    const size_t before = lane.items_.size();
    closed->second.outbox.AppendTo(lane.items_);
    lane.epochs_.push_back({closed->first, lane.items_.size() - before});
  }
}

FlushState OutboxNodeBase::Publish(SinkLane& lane) {
  if (!lane.is_under_way_) Collect(lane);
  if (lane.epochs_.empty()) return FlushState::Done();
  const Epoch last = lane.epochs_.back().epoch;
  Transaction transaction{.mark = std::nullopt, .items = lane.items_, .epochs = lane.epochs_};
  if (recovers_) transaction.mark = last;
  // All epochs are committed at the end of a run, and those before kStopEpoch at a stop.
  const bool may_wait =
      recovers_ && committed_ < kStopEpoch - 1 && lane.byte_count_ < kTransactionBytes;
  if (!lane.is_under_way_ && may_wait) {
    const absl::Duration wait = lane.WaitForMore(transaction);
    if (wait > absl::ZeroDuration()) return FlushState::Pending(wait);
  }
  lane.is_under_way_ = true;
  const absl::StatusOr<FlushState> state = lane.Publish(transaction);
  Check(state.status());
  if (!state->done) return *state;
  while (!lane.closed_.empty() && lane.closed_.begin()->first <= last) {
    const auto& [epoch, closed] = *lane.closed_.begin();
    if (closed.is_stored) lane.published_.push_back({epoch, closed.outbox.chunks().size()});
    lane.closed_.erase(lane.closed_.begin());
  }
  lane.items_.clear();
  lane.epochs_.clear();
  lane.byte_count_ = 0;
  lane.is_under_way_ = false;
  return FlushState::Done();
}

void OutboxNodeBase::PublishCommitted() {
  if (!has_committed_ || !MayAsk()) return;
  ask_at_nanos_ = 0;
  absl::Duration wait = absl::InfiniteDuration();
  bool any_pending = false;
  any_waits_ = false;
  for (auto& [name, lane] : lanes_) {
    const FlushState state = Publish(*lane);
    if (state.done) continue;
    any_waits_ |= !lane->is_under_way_;
    any_pending = true;
    wait = std::min(wait, state.wait);
  }
  if (any_pending) {
    node_.may_be_woken = true;
    const int64_t now = graph_.worker().NowNanos();
    ask_at_nanos_ = Alarm::Later(now, absl::ToInt64Nanoseconds(wait));
    alarm_.Set(now, ask_at_nanos_);
  }
  // A transaction that was under way may have ended behind a later commit.
  has_committed_ = any_pending || Backlog() > 0;
  if (has_committed_ && !any_pending) graph_.queue().Activate(node_);
  if (told_ != nullptr) graph_.queue().Activate(*told_);
}

void OutboxNodeBase::CheckSizes(const Outbox& outbox) {
  for (const std::string& chunk : outbox.chunks()) {
    if (chunk.size() <= kRowBytesMax / 2) continue;
    Check(
        absl::ResourceExhaustedError(absl::StrCat("an item of ", chunk.size(),
                                                  " bytes is too large to be published; the limit "
                                                  "is ",
                                                  kRowBytesMax / 2, " bytes")));
  }
}

bool OutboxNodeBase::Close(Epoch epoch) {
  // The outside system is slower than the sources: they wait.
  if (recovers_ &&
      Backlog() > static_cast<size_t>(graph_.worker().run().options().max_epochs_in_flight)) {
    return false;
  }
  for (auto& [name, lane] : lanes_) {
    if (lane->writing_.empty()) continue;
    CheckSizes(lane->writing_);
    lane->closed_[epoch].outbox = std::exchange(lane->writing_, Outbox());
  }
  if (!recovers_) {
    committed_ = epoch;
    has_committed_ = true;
    PublishCommitted();
    if (has_committed_) return false;
  }
  TellClosed(epoch);
  return true;
}

}  // namespace headway::internal
