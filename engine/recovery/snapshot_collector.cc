#include "engine/recovery/snapshot_collector.h"

#include <optional>
#include <string_view>

#include "comm/codec/stable_hash.h"
#include "engine/step/epoch_order.h"
#include "engine/store/row.h"

namespace headway::internal {
namespace {

// A buffer of rows is sent when it has this many bytes.
constexpr size_t kChunkBytes = size_t{256} << 10;

std::string_view ViewOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

SnapshotCollector::SnapshotCollector(NodeInput<StateChunk>& ends, NodeOutput<StateChunk>& output,
                                     Capability<Epoch> first, const SnapshotInterval& snapshots,
                                     int partition_count)
    : ends_(ends),
      output_(output),
      held_(std::move(first)),
      snapshots_(snapshots),
      partition_count_(partition_count) {}

void SnapshotCollector::Watch(EpochParticipant& participant, uint32_t step) {
  participant.TrackChanges();
  participant.SetListener(
      [this, step](EpochParticipant& closing, Epoch epoch) { Take(closing, step, epoch); });
}

void SnapshotCollector::Take(EpochParticipant& participant, uint32_t step, Epoch epoch) {
  if (epoch != snapshots_.LastOf(epoch)) return;
  // The buffer of each partition that rows are appended to.
  std::vector<std::vector<std::string>*> buffers(static_cast<size_t>(partition_count_), nullptr);
  participant.Snapshot([&](const StateEntry& entry) {
    const auto partition = static_cast<uint32_t>(RouteHash(entry.hash, partition_count_));
    std::vector<std::string>*& rows = buffers[partition];
    if (rows == nullptr) rows = &closed_[epoch][{partition, step}];
    if (rows->empty() || rows->back().size() >= kChunkBytes) {
      rows->emplace_back();
      // Rows that change in every epoch fill whole buffers; few rows do not need one.
      if (rows->size() > 1) rows->back().reserve(kChunkBytes + kChunkBytes / 8);
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
