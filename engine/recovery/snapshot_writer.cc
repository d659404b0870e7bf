#include "engine/recovery/snapshot_writer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/step/epoch_order.h"

namespace headway::internal {

SnapshotWriter::SnapshotWriter(Graph& graph, Node& node, NodeInput<StateChunk>& input,
                               Capability<Epoch> first, Capability<Epoch> commits,
                               Recovery& recovery)
    : graph_(graph),
      node_(node),
      input_(input),
      held_(std::move(first)),
      commits_(std::move(commits)),
      recovery_(recovery),
      owned_(recovery.PartitionsOf(graph.worker().index())),
      activator_(ContextOf(graph, node).activator),
      snapshots_(recovery.run().options()),
      durable_end_(recovery.plan().resume_epoch),
      recorded_end_(durable_end_),
      closed_end_(durable_end_) {
  node.may_be_woken = true;
  const bool records_commits = !owned_.empty() && owned_.front()->index == 0;
  if (!records_commits) commits_.Drop();
}

bool SnapshotWriter::HasEnded() const {
  return !graph_.completion().frontier().LessThan(kStopEpoch);
}

Epoch SnapshotWriter::CommittedEnd() const {
  return HasEnded() ? closed_end_ : graph_.completion().frontier().elements()[0];
}

StoreThread::Write* SnapshotWriter::WriteOf(std::vector<StoreThread::Write>& writes,
                                            uint32_t partition) {
  for (StoreThread::Write& write : writes) {
    if (write.partition->index == static_cast<int>(partition)) return &write;
  }
  return nullptr;
}

void SnapshotWriter::Run() {
  input_.ForEach([this](const CapabilityRef<Epoch>& time, Batch<StateChunk>& batch) {
    auto& of_epoch = waiting_[time.time()];
    for (size_t i = 0; i < batch.size(); ++i) {
      StateChunk chunk = batch.Take(i);
      if (!chunk.rows.empty()) {
        of_epoch[{chunk.partition, chunk.step}].push_back(std::move(chunk.rows));
      }
    }
  });
  TakeOutcome();
  if (under_way_ != nullptr) return;
  NoteDurable();
  NoteRecorded();
  if (!held_.held() && !commits_.held()) return;
  const FrontierView<Epoch> frontier = input_.frontier();
  const Epoch end = std::max(
      durable_end_, frontier.empty() ? kAllEpochs : snapshots_.FirstOf(frontier.elements()[0]));
  const Epoch committed_end = std::max(recorded_end_, snapshots_.FirstOf(CommittedEnd()));
  // Partition 0 records a commit at once, the others with their next snapshot.
  const bool records_commits = !owned_.empty() && owned_.front()->index == 0;
  if (end == durable_end_ && (committed_end <= recorded_end_ || !records_commits)) return;

  std::vector<StoreThread::Write> writes;
  for (OwnedPartition* partition : owned_) {
    StoreThread::Write& write = writes.emplace_back();
    write.partition = partition;
    write.durable_end = end;
    write.committed_end = committed_end;
  }
  while (!waiting_.empty() && waiting_.begin()->first < end) {
    const Epoch epoch = waiting_.begin()->first;
    closed_end_ = std::max(closed_end_, epoch + 1);
    for (auto& [place, rows] : waiting_.begin()->second) {
      StoreThread::Write* write = WriteOf(writes, place.first);
      if (write == nullptr) {
        graph_.errors().FailAndThrow(node_.step_id(), absl::InternalError(absl::StrCat(
                                                          "it has state of partition ", place.first,
                                                          ", which another worker writes")));
      }
      write->changes.push_back({place.second, epoch, std::move(rows)});
    }
    waiting_.erase(waiting_.begin());
  }
  // A commit alone needs one partition.
  if (end == durable_end_) writes.resize(1);
  recorded_end_ = committed_end;
  for (OwnedPartition* partition : owned_) partition->closed_end = closed_end_;
  for (const StoreThread::Write& write : writes) write.partition->recorded_end = committed_end;
  Submit(std::move(writes), end);
}

void SnapshotWriter::Submit(std::vector<StoreThread::Write> writes, Epoch durable_end) {
  durable_end_ = durable_end;
  if (writes.empty()) return NoteDurable();  // the worker owns no partition
  under_way_ = std::make_shared<Outcome>();
  StoreThread::Job job;
  job.writes = std::move(writes);
  job.done = [outcome = under_way_, activator = activator_](absl::Status status) {
    {
      std::lock_guard lock(outcome->mutex);
      outcome->status = std::move(status);
      outcome->done = true;
    }
    activator.Activate();
  };
  recovery_.thread().Submit(std::move(job));
}

void SnapshotWriter::TakeOutcome() {
  if (under_way_ == nullptr) return;
  {
    std::lock_guard lock(under_way_->mutex);
    if (!under_way_->done) return;
    if (!under_way_->status.ok()) {
      graph_.errors().FailAndThrow(node_.step_id(), under_way_->status);
    }
  }
  under_way_.reset();
}

void SnapshotWriter::NoteRecorded() {
  if (!commits_.held()) return;
  if (!HasEnded() || recorded_end_ < snapshots_.FirstOf(closed_end_)) {
    if (recorded_end_ > commits_.time()) commits_.Downgrade(recorded_end_);
  } else if (!held_.held()) {
    commits_.Drop();
  } else if (commits_.time() < kStopEpoch) {
    commits_.Downgrade(kStopEpoch);
  }
}

void SnapshotWriter::NoteDurable() {
  for (OwnedPartition* partition : owned_) partition->ended = durable_end_ >= kStopEpoch;
  if (durable_end_ == kAllEpochs) return held_.Drop();
  // The epochs before the last one of a group have no snapshot to wait for.
  const Epoch awaited = snapshots_.LastOf(durable_end_);
  if (awaited > held_.time()) held_.Downgrade(awaited);
}

}  // namespace headway::internal
