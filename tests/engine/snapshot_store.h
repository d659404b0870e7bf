#ifndef HEADWAY_TESTS_ENGINE_SNAPSHOT_STORE_H_
#define HEADWAY_TESTS_ENGINE_SNAPSHOT_STORE_H_

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"

namespace headway {

// Keeps in memory the snapshots of a dataflow's participants, as recovery keeps them in a store,
// and restores them into another run, of any number of workers. Thread safe.
class SnapshotStore {
 public:
  using Bytes = std::vector<std::byte>;
  struct Closed {
    int worker;
    std::string step_id;
    Epoch epoch;
  };
  struct Change {
    Epoch epoch;
    std::string step_id;
    Bytes key;
    Bytes part;
    std::optional<Bytes> state;
    uint64_t hash;

    std::string KeyText() const {
      return std::string(reinterpret_cast<const char*>(key.data()), key.size());
    }
  };

  // Keeps the snapshots from now on. Call it at the end of the build function.
  void Listen(Scope<>& scope) {
    for (EpochParticipant* participant : scope.graph().parts().participants) {
      participant->TrackChanges();
      participant->SetListener([this, worker = scope.worker_index()](
                                   EpochParticipant& of, Epoch epoch) { Add(worker, of, epoch); });
    }
  }

  // Restores the snapshots of the epochs before the run's first one: the last change of each entry,
  // unless it says that the entry is gone. Call it at the end of the build function.
  void RestoreInto(Scope<>& scope) const {
    const Epoch first = scope.graph().worker().run().options().first_epoch;
    std::lock_guard lock(mutex_);
    for (EpochParticipant* participant : scope.graph().parts().participants) {
      for (size_t i = 0; i < changes_.size(); ++i) {
        const Change& change = changes_[i];
        if (change.step_id != participant->step_id() || change.epoch >= first) continue;
        if (!change.state.has_value() || IsReplaced(i, first)) continue;
        if (!participant->restores_everywhere() &&
            RouteHash(change.hash, scope.worker_count()) != scope.worker_index()) {
          continue;
        }
        const absl::Status status =
            participant->Restore({change.key, *change.state, change.part, change.hash});
        CHECK_MESSAGE(status.ok(), status.ToString());
      }
    }
  }

  // Drops the changes after the end of `epoch`: that one is the last that was committed.
  void Cut(Epoch epoch) {
    std::lock_guard lock(mutex_);
    std::erase_if(changes_, [epoch](const Change& change) { return change.epoch > epoch; });
  }

  const std::vector<Closed>& closed() const { return closed_; }
  const std::vector<Change>& changes() const { return changes_; }

 private:
  bool IsReplaced(size_t i, Epoch first) const {
    for (size_t later = i + 1; later < changes_.size(); ++later) {
      const Change& change = changes_[later];
      if (change.epoch < first && change.step_id == changes_[i].step_id &&
          change.key == changes_[i].key && change.part == changes_[i].part) {
        return true;
      }
    }
    return false;
  }

  void Add(int worker, EpochParticipant& participant, Epoch epoch) {
    std::lock_guard lock(mutex_);
    closed_.push_back({worker, participant.step_id(), epoch});
    participant.Snapshot([&](const StateEntry& entry) {
      std::optional<Bytes> state;
      if (entry.state.has_value()) state.emplace(entry.state->begin(), entry.state->end());
      changes_.push_back({epoch, participant.step_id(), Bytes(entry.key.begin(), entry.key.end()),
                          Bytes(entry.part.begin(), entry.part.end()), std::move(state),
                          entry.hash});
    });
  }

  mutable std::mutex mutex_;
  std::vector<Closed> closed_;
  std::vector<Change> changes_;
};

}  // namespace headway

#endif  // HEADWAY_TESTS_ENGINE_SNAPSHOT_STORE_H_
