#ifndef HEADWAY_ENGINE_STEP_WATERMARK_STATE_H_
#define HEADWAY_ENGINE_STEP_WATERMARK_STATE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/graph/watermark.h"
#include "engine/step/epoch_participant.h"

namespace headway::internal {

// The watermark of a step on a worker, as its snapshots contain it: an entry for each worker, with
// the worker's index as the key. At the end of an epoch all workers have received the same
// watermarks, so each restores the greatest entry.
class WatermarkState final : public EpochParticipant {
 public:
  WatermarkState(const std::string& step_id, int worker)
      : EpochParticipant(step_id + ".watermark"), worker_(static_cast<uint32_t>(worker)) {}

  EventTime watermark() const { return watermark_; }
  void RaiseTo(EventTime watermark) { watermark_ = std::max(watermark_, watermark); }

  bool restores_everywhere() const override { return true; }
  void TrackChanges() override { tracks_ = true; }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    if (!tracks_ || watermark_ == stored_) return;
    stored_ = watermark_;
    const std::vector<std::byte> key = EncodeToBytes(worker_);
    const std::vector<std::byte> state = EncodeToBytes(watermark_);
    write({.key = key, .state = state, .hash = StableHash(worker_)});
  }
  absl::Status Restore(const StateEntry& entry) override {
    EventTime watermark = kNoWatermark;
    if (entry.state.has_value() && !DecodeFromBytes(*entry.state, &watermark)) {
      return absl::DataLossError("a stored watermark cannot be decoded: it is damaged");
    }
    RaiseTo(watermark);
    return absl::OkStatus();
  }

 private:
  const uint32_t worker_;
  bool tracks_ = false;
  EventTime watermark_ = kNoWatermark;
  EventTime stored_ = kNoWatermark;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_WATERMARK_STATE_H_
