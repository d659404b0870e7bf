#include "engine/step/source_node.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

// The time between two checks of a source whether it may send the partitions that are back, behind
// its last list.
constexpr absl::Duration kBackInterval = absl::Milliseconds(10);

// The length of an epoch of a worker that has no partition, if its epochs have no length: they must
// not hold back the workers that have one.
constexpr int64_t kEmptyEpochNanos = 10'000'000;

absl::Status CheckDifferent(const std::vector<std::string>& partitions) {
  std::unordered_set<std::string_view> names;
  for (const std::string& partition : partitions) {
    if (names.insert(partition).second) continue;
    return absl::InvalidArgumentError(absl::StrCat("its source names the partition '", partition,
                                                   "' twice; give each partition its own name"));
  }
  return absl::OkStatus();
}

}  // namespace

SourceNodeBase::SourceNodeBase(Graph& graph, Node& node, OutputPortBase& output,
                               Capability<Epoch> capability, const EpochConfig& epochs, Form form,
                               SourceListing* listing)
    : EpochParticipant(node.step_id()),
      graph_(graph),
      node_(node),
      output_(output),
      clock_(graph, node, std::move(capability), *this, epochs),
      alarm_(graph, node),
      form_(form),
      listing_(listing) {
  output_.of_source = true;
  output_.partitions = &partitions_.read();
}

void SourceNodeBase::Open() {
  if (graph_.parts().has_event_time) partitions_.read().is_used = true;
  if (form_.by_worker) {
    OpenByWorker();
  } else if (graph_.worker().index() == 0) {
    ListFirst();
  }
}

void SourceNodeBase::ListFirst() {
  std::vector<std::string> list = ValueOf(List());
  CheckVanished(list);
  const absl::Duration interval = ListInterval();
  if (interval != absl::InfiniteDuration()) named_.insert(list.begin(), list.end());
  SendList(std::move(list), interval);
}

void SourceNodeBase::ListAgainWhenDue() {
  if (list_at_nanos_ == Alarm::kNever) return;
  const int64_t now = graph_.worker().NowNanos();
  if (now >= list_at_nanos_) {
    std::vector<std::string> list;
    absl::Duration interval = absl::InfiniteDuration();
    if (!forgotten_.is_after_last_list) {
      list = ValueOf(List());
      Check(CheckDifferent(list));
      interval = ListInterval();
      TakeNewNames(list);
    }
    TakeNamesThatAreBack(list);
    if (interval == absl::InfiniteDuration() && !forgotten_.back.empty()) {
      forgotten_.is_after_last_list = true;
      interval = kBackInterval;
    }
    SendList(std::move(list), interval);
  }
  alarm_.Set(now, list_at_nanos_);
}

// A partition that is back has a new position. Its worker must not store that in the snapshot in
// which this worker drops the old one: so it is sent when that snapshot is complete.
void SourceNodeBase::TakeNewNames(std::vector<std::string>& list) {
  std::erase_if(list, [&](const std::string& name) {
    if (!named_.insert(name).second) return true;
    if (!forgotten_.names.contains(name)) return false;
    forgotten_.back.push_back(name);
    return true;
  });
}

void SourceNodeBase::TakeNamesThatAreBack(std::vector<std::string>& list) {
  if (forgotten_.names.empty() || !clock_.IsComplete(forgotten_.in)) return;
  forgotten_.names.clear();
  list.insert(list.end(), forgotten_.back.begin(), forgotten_.back.end());
  forgotten_.back.clear();
}

void SourceNodeBase::SendList(std::vector<std::string> names, absl::Duration interval) {
  const bool is_last = interval == absl::InfiniteDuration();
  const bool is_first = list_at_nanos_ == Alarm::kNever;
  if (is_last) {
    list_at_nanos_ = Alarm::kNever;
    named_.clear();
  } else {
    list_at_nanos_ = Alarm::Later(graph_.worker().NowNanos(),
                                  std::max<int64_t>(1, absl::ToInt64Nanoseconds(interval)));
  }
  if (names.empty() && !is_first && !is_last) return;
  PartitionList list{.names = std::move(names), .is_last = is_last};
  if (listing_ == nullptr) {
    Assign(std::move(list));
  } else {
    listing_->Send(std::move(list));
  }
}

void SourceNodeBase::ReceiveLists() {
  // Taken after a stop too: a batch that is left in an input keeps its epoch open.
  while (std::optional<PartitionList> list = listing_->Receive()) {
    if (!ended()) Assign(*std::move(list));
  }
}

// Each reader knows its own share of the records only, and not that of another number of workers.
void SourceNodeBase::OpenByWorker() {
  const WorkerContext& worker = graph_.worker();
  const size_t positions = partitions_.restored().size();
  if (positions != 0 && positions != static_cast<size_t>(worker.count())) {
    Check(absl::InvalidArgumentError(absl::StrFormat(
        "its snapshot has the positions of %d workers, and this run has %d: the source keeps a "
        "position for each worker; resume with %d workers, or make the source partitioned",
        positions, worker.count(), positions)));
  }
  partitions_.Assign({std::to_string(worker.index())}, true);
  OpenNext();
}

void SourceNodeBase::CheckVanished(const std::vector<std::string>& list) {
  forgotten_.in = clock_.SnapshotEpoch();
  for (const std::string& name : ValueOf(Vanished(list))) {
    if (!form_.forgets_vanished) {
      Check(absl::FailedPreconditionError(
          absl::StrCat("the snapshot has a position in its partition '", name,
                       "', which the source does not name any more; bring the partition back, or "
                       "allow VanishedPartitions::kForget")));
    }
    partitions_.Forget(name);
    forgotten_.names.insert(name);
  }
}

absl::StatusOr<std::vector<std::string>> SourceNodeBase::Vanished(
    const std::vector<std::string>& list) const {
  const std::unordered_set<std::string_view> named(list.begin(), list.end());
  std::vector<std::string> vanished;
  for (const auto& [name, position] : restored()) {
    if (!named.contains(name)) vanished.push_back(name);
  }
  std::ranges::sort(vanished);  // the error names the same one each time
  return vanished;
}

// Partitions are divided by their places in all lists together, so that shares differ by one at
// most, and a partition that is listed later moves no other.
absl::StatusOr<std::vector<std::string>> SourceNodeBase::Divide(std::vector<std::string> list) {
  HEADWAY_RETURN_IF_ERROR(CheckDifferent(list));
  const auto count = static_cast<size_t>(graph_.worker().count());
  const auto index = static_cast<size_t>(graph_.worker().index());
  std::vector<std::string> share;
  for (size_t i = (index + count - divided_ % count) % count; i < list.size(); i += count) {
    share.push_back(std::move(list[i]));
  }
  divided_ += list.size();
  return share;
}

void SourceNodeBase::Assign(PartitionList list) {
  partitions_.Assign(ValueOf(Divide(std::move(list.names))), list.is_last);
  OpenNext();
}

void SourceNodeBase::OpenNext() {
  Check(partitions_.OpenNext(form_.max_open,
                             [this](const std::string& name, std::optional<std::string> position) {
                               return OpenPartition(name, std::move(position));
                             }));
}

void SourceNodeBase::Stop() {
  if (std::exchange(stopped_, true)) return;
  try {
    graph_.errors().Guard(step_id(), [&] { clock_.Stop(); });
  } catch (const StepFailed&) {  // the run has the failure
  }
  if (listing_ != nullptr) listing_->Stop();
  graph_.queue().MarkActive();
}

void SourceNodeBase::Snapshot(absl::FunctionRef<void(const StateEntry&)> write) {
  if (!form_.watches_commits) return partitions_.Snapshot(write);
  CommittedPositions& positions = uncommitted_[clock_.SnapshotEpoch()];
  partitions_.Snapshot([&](const StateEntry& entry) {
    write(entry);
    PartitionPosition at = PartitionPosition::Of(entry);
    if (at.position.has_value()) positions[std::move(at.name)] = *std::move(at.position);
  });
}

void SourceNodeBase::SetCommitted(Epoch end) {
  CommittedPositions positions;
  for (; !uncommitted_.empty() && uncommitted_.begin()->first < end;
       uncommitted_.erase(uncommitted_.begin())) {
    for (auto& [name, position] : uncommitted_.begin()->second) {
      positions[name] = std::move(position);
    }
  }
  if (positions.empty()) return;
  graph_.errors().Guard(step_id(), [&] { Check(Committed(positions)); });
}

void SourceNodeBase::Run() {
  if (listing_ != nullptr) ReceiveLists();
  if (graph_.worker().run().stop_requested()) Stop();
  if (ended()) return;
  ListAgainWhenDue();
  PollReaders();
  if (listing_ != nullptr) listing_->Follow(epoch());
}

void SourceNodeBase::PollReaders() {
  clock_.CloseDueEpochs();
  if (!graph_.credit().HasCredit(output_)) {
    graph_.credit().Await(node_);
    return;
  }
  const int64_t budget = clock_.Budget();
  if (budget == 0) return;  // the completion of an epoch activates it
  if (std::exchange(node_.woken, false)) partitions_.WakeAll();
  if (partitions_.AllDone()) return Finish();
  SourcePartitions::Partition* const partition =
      partitions_.TakeNext([this] { return graph_.worker().NowNanos(); });
  if (partition != nullptr) {
    empty_epoch_end_nanos_ = Alarm::kNever;
    return Poll(*partition, budget);
  }
  TellWatermark(/*active=*/true, /*more_follows=*/false);
  if (partitions_.open_count() > 0) {
    alarm_.Set(graph_.worker().NowNanos(), partitions_.FirstPoll());
  } else if (partitions_.AwaitsPartitions() && !clock_.is_timed()) {
    CloseEmptyEpoch();
  }
}

void SourceNodeBase::CloseEmptyEpoch() {
  const int64_t now = graph_.worker().NowNanos();
  if (now >= empty_epoch_end_nanos_) {
    clock_.Advance(std::nullopt);
    empty_epoch_end_nanos_ = Alarm::kNever;
  }
  if (empty_epoch_end_nanos_ == Alarm::kNever) {
    empty_epoch_end_nanos_ = Alarm::Later(now, kEmptyEpochNanos);
  }
  alarm_.Set(now, empty_epoch_end_nanos_);
}

void SourceNodeBase::Poll(SourcePartitions::Partition& partition, int64_t budget) {
  int64_t emitted = 0;
  partitions_.BeginPoll(partition);
  absl::StatusOr<SourceState> state = partition.reader->Poll(clock_.epoch(), budget, emitted);
  Check(state.status());
  output_.Flush();
  graph_.worker().CountSourceRecords(static_cast<uint64_t>(emitted));
  const bool rests = !state->done && state->wait > absl::ZeroDuration();
  const int64_t now = rests ? graph_.worker().NowNanos() : 0;
  partitions_.NotePoll(partition, emitted > 0, rests, now);
  if (rests) {
    partitions_.Rest(partition, Alarm::Later(now, absl::ToInt64Nanoseconds(state->wait)));
  } else if (!state->done) {
    partitions_.Continue(partition);
  }
  TellWatermark(/*active=*/true, /*more_follows=*/!rests && !state->done);
  if (state->done) {
    partitions_.Close(partition);
    OpenNext();
    if (partitions_.AllDone()) return Finish();
    if (emitted > 0) clock_.AfterPoll(emitted);
    graph_.queue().Activate(node_);
    return;
  }
  if (state->ends_epoch) {
    clock_.Advance(state->next_epoch);
  } else {
    clock_.AfterPoll(emitted);
  }
  if (rests && partitions_.open_count() == 1) {
    return alarm_.Set(graph_.worker().NowNanos(), partition.poll_at_nanos);
  }
  graph_.queue().Activate(node_);
}

void SourceNodeBase::Finish() {
  TellWatermark(/*active=*/false, /*more_follows=*/false);
  clock_.Finish();
}

void SourceNodeBase::TellWatermark(bool active, bool more_follows) {
  if (!graph_.parts().has_event_time) return;
  const Epoch epoch = clock_.epoch();
  output_.PushWatermark(
      &epoch, {.active = active, .more_follows = more_follows, .partitions = &partitions_.read()});
}

}  // namespace headway::internal
