#ifndef HEADWAY_ENGINE_STEP_OUTBOX_NODE_H_
#define HEADWAY_ENGINE_STEP_OUTBOX_NODE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/graph/graph.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/flush_state.h"
#include "engine/step/outbox.h"
#include "engine/step/step_context.h"

namespace headway {

// One transaction of the outside system; see transactional_sink.h.
struct Transaction {
  // The outside system keeps it together with the items; no value in a run without recovery.
  std::optional<uint64_t> mark;
  // Valid until Publish says that it is done.
  std::span<const std::string_view> items;

  // The epochs that share the transaction, in order, and the number of items of each. A run that
  // resumes has the same items in an epoch, but other epochs may share its transaction.
  struct EpochItems {
    Epoch epoch = 0;
    size_t item_count = 0;
  };
  std::span<const EpochItems> epochs = {};  // valid as long as the items
};

namespace internal {

// A lane of a transactional sink, whose records one worker publishes.
class SinkLane {
 public:
  virtual ~SinkLane() = default;
  // How long the transaction waits for later epochs. Zero or less: it begins.
  virtual absl::Duration WaitForMore(const Transaction& transaction) = 0;
  virtual absl::StatusOr<FlushState> Publish(const Transaction& transaction) = 0;
  // `published`: the last mark that the store knows.
  virtual absl::StatusOr<std::optional<uint64_t>> LastMark(std::optional<uint64_t> published) = 0;

  const std::string& name() const { return name_; }
  // Of the epoch that is being written.
  Outbox& outbox() { return writing_; }

 private:
  friend class OutboxNodeBase;

  struct Closed {
    Outbox outbox;
    bool is_stored = false;  // in a snapshot
  };
  struct Published {
    Epoch epoch;
    size_t chunks;
  };

  std::string name_;
  Outbox writing_;
  std::map<Epoch, Closed> closed_;    // not published yet
  std::vector<Published> published_;  // whose chunks are stored still
  // The last epoch that a snapshot calls published: the outside system must have its mark.
  std::optional<Epoch> published_through_;
  // The transaction that is under way, or waits for later epochs: the first closed ones.
  bool is_under_way_ = false;
  std::vector<std::string_view> items_;
  std::vector<Transaction::EpochItems> epochs_;
  size_t byte_count_ = 0;  // of the items
};

// A transactional sink on a worker, independent of its record type. Keeps the outboxes of the
// epochs that are closed and not published yet, and has them in snapshots. Without recovery it
// publishes an epoch before it closes it; with recovery, after it is committed.
class OutboxNodeBase : public EpochParticipant {
 public:
  // `one_lane`: the sink does not divide its records. Called while the dataflow is built.
  OutboxNodeBase(Graph& graph, Node& node, bool one_lane);

  void TrackChanges() override {}
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override;
  absl::Status Restore(const StateEntry& entry) override;

  // The epochs before `end` are committed. `told` runs again when some of them are published.
  void SetCommitted(Epoch end, Node& told);
  // The first epoch that is not published yet, and at most the end of the commits.
  Epoch published_end() const;

 protected:
  // The name of the only lane, under which its outbox is stored: do not change.
  static constexpr const char* kOnlyLane = "all";

  StepContext Context() const { return ContextOf(graph_, node_); }
  void Check(const absl::Status& status) {
    if (!status.ok()) graph_.errors().FailAndThrow(step_id(), status);
  }

  // The name of a restored lane that is not open yet, or null.
  const std::string* FirstRestored() const;
  SinkLane* Find(std::string_view name) const;
  // Takes over an open lane, and its restored outbox.
  SinkLane* Add(const std::string& name, std::unique_ptr<SinkLane> lane);

  // Publishes the epochs that are committed.
  void PublishCommitted();
  // Closes the epoch. Returns false while it cannot.
  bool Close(Epoch epoch);

  Graph& graph_;
  Node& node_;

 private:
  using Closed = std::map<Epoch, SinkLane::Closed>;
  struct Restored {
    Closed closed;
    std::optional<Epoch> published_through;
  };

  // The first closed epoch of a lane that is not committed.
  Closed::iterator EndOfCommitted(SinkLane& lane) const {
    return committed_.has_value() ? lane.closed_.upper_bound(*committed_) : lane.closed_.begin();
  }
  // Returns false if a transaction is under way that need not be asked for yet.
  bool MayAsk();
  // Adds epochs that are committed to the transaction of a lane.
  void Collect(SinkLane& lane);
  // Publishes epochs of a lane that are committed, in one transaction. Returns how it stands.
  FlushState Publish(SinkLane& lane);
  // The number of epochs that are committed and not published, nor wait for later ones.
  size_t Backlog() const;
  void CheckSizes(const Outbox& outbox);
  void CheckMark(const std::string& name, std::optional<uint64_t> mark,
                 std::optional<Epoch> published_through);

  const bool one_lane_;
  const bool recovers_;
  std::map<std::string, Restored> restored_;  // of lanes that are not open yet
  std::map<std::string, std::unique_ptr<SinkLane>, std::less<>> lanes_;
  std::optional<Epoch> committed_;  // the last epoch that is
  bool has_committed_ = false;      // some that are committed may not be published
  bool any_waits_ = false;          // some transaction waits for later epochs
  Node* told_ = nullptr;
  Alarm alarm_;
  int64_t ask_at_nanos_ = 0;  // when to ask for the transactions under way; 0: none is
};

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_OUTBOX_NODE_H_
