#include "engine/recovery/snapshot_collector.h"

#include <optional>
#include <string_view>

#include "absl/strings/str_format.h"
#include "comm/codec/stable_hash.h"
#include "engine/step/epoch_order.h"
#include "engine/store/row.h"

namespace headway::internal {
namespace {

// A store compares epochs as signed numbers.
constexpr Epoch kEndOfEpochs = Epoch{1} << 63;

std::string_view ViewOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

SnapshotCollector::SnapshotCollector(Graph& graph, NodeInput<StateChunk>& ends,
                                     NodeOutput<StateChunk>& output, Capability<Epoch> first,
                                     const SnapshotInterval& snapshots, int partition_count,
                                     RowBuffers& buffers)
    : graph_(graph),
      ends_(ends),
      output_(output),
      held_(std::move(first)),
      snapshots_(snapshots),
      partition_count_(partition_count),
      buffers_(buffers) {}

void SnapshotCollector::Watch(EpochParticipant& participant, uint32_t step) {
  participant.TrackChanges();
  participant.SetListener(
      [this, step](EpochParticipant& closing, Epoch epoch) { Take(closing, step, epoch); });
}

void SnapshotCollector::Take(EpochParticipant& participant, uint32_t step, Epoch epoch) {
  if (epoch >= kEndOfEpochs) {
    graph_.errors().FailAndThrow(
        participant.step_id(),
        absl::FailedPreconditionError(absl::StrFormat(
            "it has closed epoch %d; in a run with recovery, epochs and timers are before %d",
            epoch, kEndOfEpochs)));
  }
  if (epoch != snapshots_.LastOf(epoch)) return;
  Rows& closed = closed_[epoch];  // though nothing has changed: the epoch is over
  // The rows of each partition, in buffers.
  std::vector<std::vector<std::string>*> places(static_cast<size_t>(partition_count_), nullptr);
  participant.Snapshot([&](const StateEntry& entry) {
    const auto partition = static_cast<uint32_t>(RouteHash(entry.hash, partition_count_));
    std::vector<std::string>*& rows = places[partition];
    if (rows == nullptr) rows = &closed[{partition, step}];
    // Rows that fill more than one buffer fill whole ones; few rows do not need one.
    if (rows->empty()) {
      rows->emplace_back();
    } else if (rows->back().size() >= RowBuffers::kBytes) {
      rows->push_back(buffers_.Take());
    }
    StateRow row{.hash = entry.hash,
                 .key = ViewOf(entry.key),
                 .part = ViewOf(entry.part),
                 .state = std::nullopt};
    if (entry.state.has_value()) row.state = ViewOf(*entry.state);
    AppendRow(row, rows->back());
  });
}

void SnapshotCollector::Send(Epoch epoch, Rows& rows) {
  if (epoch > held_.time()) held_.Downgrade(epoch);
  auto session = output_.SessionAt(held_);
  // The worker that records commits learns of all epochs.
  if (rows.empty() || rows.begin()->first.first != 0) session.Give(StateChunk());
  for (auto& [place, buffers] : rows) {
    for (std::string& buffer : buffers) {
      session.Give(StateChunk{place.first, place.second, std::move(buffer)});
    }
  }
}

void SnapshotCollector::Run() {
  if (!held_.held()) return;
  const std::optional<Epoch> last_ended = LastEndedEpoch(ends_.frontier());
  while (last_ended.has_value() && !closed_.empty() && closed_.begin()->first <= *last_ended) {
    Send(closed_.begin()->first, closed_.begin()->second);
    closed_.erase(closed_.begin());
  }
  if (ends_.frontier().empty()) return held_.Drop();
  held_.Follow(ends_.frontier());
}

}  // namespace headway::internal
