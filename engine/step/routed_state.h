#ifndef HEADWAY_ENGINE_STEP_ROUTED_STATE_H_
#define HEADWAY_ENGINE_STEP_ROUTED_STATE_H_

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "comm/codec/codec.h"
#include "comm/codec/stable_hash.h"
#include "engine/state/keyed_state.h"
#include "engine/step/epoch_participant.h"

namespace headway {

// The value of a route for state that is a worker's own: see OperatorBuilder::AddState.
struct WorkerIndex {
  uint32_t index;
};

namespace internal {

// State under keys of an operator, which its inputs close. An entry belongs to the worker to which
// records with the value route(key) are exchanged. With a WorkerIndex it belongs to the worker of
// that index, modulo the number of workers.
template <class K, class S, class Route>
class RoutedState final : public EpochParticipant {
  using KeyView = typename KeyedState<K, S>::KeyView;
  static constexpr bool kIsOfWorker =
      std::is_same_v<std::invoke_result_t<Route&, KeyView>, WorkerIndex>;

 public:
  RoutedState(std::string step_id, Route route, int worker_index, int worker_count)
      : EpochParticipant(std::move(step_id)),
        route_(std::move(route)),
        worker_index_(static_cast<uint32_t>(worker_index)),
        worker_count_(static_cast<uint32_t>(worker_count)) {}

  KeyedState<K, S>& states() { return states_; }

  bool restores_everywhere() const override { return kIsOfWorker; }
  void ExpectEntries(size_t count) override {
    // Of a state of workers a worker restores a part that is not known.
    if (!kIsOfWorker) states_.ExpectEntries(count);
  }
  void TrackChanges() override { states_.TrackChanges(); }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override {
    states_.SnapshotRouted(
        [this](KeyView key) {
          if constexpr (kIsOfWorker) {
            return StableHash(route_(key).index);
          } else {
            return StableHash(route_(key));
          }
        },
        write);
  }
  absl::Status Restore(const StateEntry& entry) override {
    if constexpr (kIsOfWorker) {
      K key{};
      if (DecodeFromBytes(entry.key, &key) && route_(key).index % worker_count_ != worker_index_) {
        return absl::OkStatus();
      }
    }
    return states_.Restore(entry);
  }
  absl::Status RestoreEach(std::span<const StateEntry> entries) override {
    return kIsOfWorker ? EpochParticipant::RestoreEach(entries) : states_.RestoreEach(entries);
  }

 private:
  Route route_;
  const uint32_t worker_index_;
  const uint32_t worker_count_;
  KeyedState<K, S> states_;
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_ROUTED_STATE_H_
