#ifndef HEADWAY_ENGINE_STEP_WORKER_STATE_H_
#define HEADWAY_ENGINE_STEP_WORKER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/step/epoch_participant.h"

namespace headway {

namespace internal {
template <class S>
class WorkerStateNode;
}  // namespace internal

// State that an operator has once on each worker, under no key. Made by
// OperatorBuilder::AddWorkerState, as S{}. Not thread safe.
template <class S>
class WorkerState {
 public:
  const S& Get() const { return state_; }
  // The state, to be changed.
  S& Change() {
    changed_ = true;
    return state_;
  }

 private:
  friend class internal::WorkerStateNode<S>;

  S state_{};
  bool changed_ = false;  // since the last snapshot
};

namespace internal {

// The snapshots of a WorkerState. An entry has the index of its worker as the key (4 bytes). With
// another number of workers, worker `i % worker_count` restores entry `i`. A worker that restores
// entries of others merges them in the order of indices. Its next snapshot has the result as its
// own entry, and tombstones of theirs, so that none is merged twice.
template <class S>
class WorkerStateNode final : public EpochParticipant {
 public:
  using Merge = absl::AnyInvocable<void(S& into, S&& other)>;

  WorkerStateNode(std::string step_id, int worker_index, int worker_count, Merge merge)
      : EpochParticipant(std::move(step_id)),
        worker_index_(static_cast<uint32_t>(worker_index)),
        worker_count_(static_cast<uint32_t>(worker_count)),
        merge_(std::move(merge)) {}

  WorkerState<S>& state() { return state_; }

  bool restores_everywhere() const override { return true; }

  void TrackChanges() override { tracks_ = true; }

  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    RequireCodec<S>();
    if (!tracks_ || !state_.changed_) return;
    const std::vector<std::byte> bytes = EncodeToBytes(state_.state_);
    WriteEntry(worker_index_, bytes, write);
    for (uint32_t worker : merged_) WriteEntry(worker, std::nullopt, write);
    merged_.clear();
    state_.changed_ = false;
  }

  absl::Status Restore(const StateEntry& entry) override {
    uint32_t worker = 0;
    S state{};
    if (!DecodeFromBytes(entry.key, &worker) ||
        (entry.state.has_value() && !DecodeFromBytes(*entry.state, &state))) {
      return absl::DataLossError(
          "the stored state of a worker cannot be decoded: it was written by another version of "
          "the step, or is damaged");
    }
    if (worker % worker_count_ != worker_index_) return absl::OkStatus();
    restored_.erase(worker);
    if (entry.state.has_value()) restored_.emplace(worker, std::move(state));
    return absl::OkStatus();
  }

  // Called when the dataflow has been built, and all entries are restored.
  void Resume() {
    bool is_first = true;
    for (auto& [worker, state] : restored_) {
      if (is_first) {
        state_.state_ = std::move(state);
      } else {
        merge_(state_.state_, std::move(state));
      }
      is_first = false;
      if (worker != worker_index_) {
        merged_.push_back(worker);
        state_.changed_ = true;
      }
    }
    restored_.clear();
  }

 private:
  void WriteEntry(uint32_t worker, std::optional<std::span<const std::byte>> state,
                  absl::FunctionRef<void(const StateEntry&)> write) {
    const auto key = std::as_bytes(std::span(&worker, 1));
    write({.key = key, .state = state, .hash = StableHash(worker)});
  }

  const uint32_t worker_index_;
  const uint32_t worker_count_;
  Merge merge_;
  WorkerState<S> state_;
  bool tracks_ = false;
  std::map<uint32_t, S> restored_;
  std::vector<uint32_t> merged_;  // workers whose entries are gone with the next snapshot
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_WORKER_STATE_H_
