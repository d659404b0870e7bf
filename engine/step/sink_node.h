#ifndef HEADWAY_ENGINE_STEP_SINK_NODE_H_
#define HEADWAY_ENGINE_STEP_SINK_NODE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/graph/graph.h"
#include "engine/step/alarm.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/flush_state.h"
#include "engine/step/partition_position.h"
#include "engine/step/step_context.h"

namespace headway::internal {

// The writer of a sink partition, or of a worker's share of a sink without partitions.
class SinkPartition {
 public:
  virtual ~SinkPartition() = default;
  virtual absl::StatusOr<FlushState> Flush() = 0;
  // The position after the last flush.
  virtual std::string Position() const = 0;

  const std::string& name() const { return at_.name; }

 private:
  friend class SinkNodeBase;

  PartitionPosition at_;    // as a snapshot has it; no position: none has one
  bool unflushed_ = false;  // records were written since the last flush
};

// How a sink divides its records.
enum class SinkForm {
  kByWorker,      // each worker writes its share, without a position
  kOnePartition,  // worker 0 writes all records
  kPartitions,    // RouteHash of the partition's name says which worker writes it
};

// A sink on a worker, independent of its record type: flushes partitions at the ends of epochs, and
// keeps their positions.
class SinkNodeBase : public EpochParticipant {
 public:
  SinkNodeBase(Graph& graph, Node& node, SinkForm form)
      : EpochParticipant(node.step_id()),
        graph_(graph),
        node_(node),
        form_(form),
        alarm_(graph, node) {}

  void TrackChanges() override { tracking_ = form_ != SinkForm::kByWorker; }
  void Snapshot(absl::FunctionRef<void(const StateEntry&)> write) override;
  absl::Status Restore(const StateEntry& entry) override;

 protected:
  // The name of the only partition, under which its position is stored: do not change.
  static constexpr const char* kOnlyPartition = "all";
  using Positions = std::map<std::string, std::string>;

  StepContext Context() const { return ContextOf(graph_, node_); }
  void Check(const absl::Status& status) {
    if (!status.ok()) graph_.errors().FailAndThrow(step_id(), status);
  }

  // The positions that were restored and not taken yet.
  const Positions& restored() const { return restored_; }
  // The position of a restored partition, once.
  std::optional<std::string> TakeRestored(const std::string& name);

  // The partition of that name if it is open, or null.
  SinkPartition* Find(std::string_view name) const;
  SinkPartition* Add(const std::string& name, const std::optional<std::string>& position,
                     std::unique_ptr<SinkPartition> partition);

  // Called before records are written.
  void WillWrite(SinkPartition& partition) {
    if (partition.unflushed_) return;
    partition.unflushed_ = true;
    unflushed_.push_back(&partition);
  }
  // Returns true if the pending flush need not be asked for yet.
  bool MustWait();
  // Flushes the partitions that were written, and closes the epoch. Returns false while a flush is
  // pending.
  bool Close(Epoch epoch);

  Graph& graph_;
  Node& node_;

 private:
  struct HashName {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };

  bool Flush();

  const SinkForm form_;
  bool tracking_ = false;
  Positions restored_;
  std::unordered_map<std::string, std::unique_ptr<SinkPartition>, HashName, std::equal_to<>>
      partitions_;
  std::vector<SinkPartition*> unflushed_;
  std::vector<SinkPartition*> changed_;  // flushed since the last snapshot
  Alarm alarm_;
  int64_t ask_at_nanos_ = 0;  // when to ask for the pending flushes again; 0: none is pending
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_SINK_NODE_H_
