#include "engine/worker.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/system/thread_placement.h"
#include "engine/graph/channel.h"
#include "engine/graph/graph_builder.h"
#include "engine/graph/source_control.h"
#include "engine/graph/unread_inputs.h"
#include "engine/network/remote_sender.h"
#include "engine/recovery/worker_recovery.h"
#include "engine/runtime/run_monitor.h"
#include "progress/prefetch.h"

namespace headway {

using internal::Graph;
using internal::MessageKind;

namespace {

// A busy worker reads the clock for its timers once in so many steps.
constexpr uint32_t kStepsPerClockRead = 16;
// A clock that the host moves does not wake a sleeping worker: with timers or running dataflows, it
// wakes this often.
constexpr absl::Duration kForeignClockPoll = absl::Milliseconds(1);

}  // namespace

Worker::Worker(internal::Attempt& attempt, int local_index)
    : endpoint_(&attempt.fabric(), local_index),
      remote_(attempt.network() != nullptr
                  ? std::make_unique<internal::RemoteSender>(*attempt.network(), endpoint_)
                  : nullptr),
      context_(attempt, local_index, endpoint_, remote_.get()),
      idle_(internal::IdleStrategy::Limits::Of(
                attempt.run().topology(), context_.index(),
                internal::EachHasAProcessor(attempt.run().topology().workers_per_process)),
            attempt.run().clock(), thread_),
      stalls_(context_),
      statistics_(attempt.run().monitor() != nullptr
                      ? &attempt.run().monitor()->OfWorker(local_index)
                      : nullptr) {}

Worker::~Worker() {
  graphs_.clear();
  pending_.Clear([this](const internal::Message& message) { Drop(message); });
  endpoint_.Close();
}

absl::Status Worker::Build(std::string_view name, absl::FunctionRef<void(Scope<>&)> build) {
  if (context_.failed()) return context_.attempt().failure().status();
  if (BeingBuilt() != nullptr) return RefuseCall("Build");
  if (stalls_.host_has_returned()) {
    context_.attempt().failure().Report(absl::FailedPreconditionError(
        absl::StrFormat("dataflow '%s' on %s: an operator builds it after the worker's function "
                        "has returned; build "
                        "it before, since the other workers build nothing more",
                        name, context_.attempt().Describe(index()))));
    return context_.attempt().failure().status();
  }
  const auto id = static_cast<uint32_t>(by_id_.size());
  if (context_.attempt().network() != nullptr && id >= internal::kMaxDataflows) {
    context_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "dataflow '%s' on %s: a run of several processes builds at most %d dataflows", name,
        context_.attempt().Describe(index()), internal::kMaxDataflows)));
    return context_.attempt().failure().status();
  }
  auto graph = std::make_unique<Graph>(context_, id, std::string(name));
  by_id_.push_back(nullptr);
  // The function that builds must not step the worker. An operator may build a dataflow: then there
  // is a step already.
  const bool is_in_step = !stepping_.empty();
  if (!is_in_step) stepping_.push_back(graph.get());
  const absl::Cleanup end = [this, is_in_step] {
    if (!is_in_step) stepping_.clear();
  };
  try {
    internal::GraphBuilder builder(*graph);
    graph->errors().Guard("", [&] {
      auto& scope = graph->objects().Make<Scope<>>(*graph, graph->completion().root(), "");
      scope.LinkEndToCompletion();
      build(scope);
      internal::Recovery* const recovery = context_.attempt().resume_point().recovery;
      if (recovery != nullptr && recovery->has_plan()) internal::JoinRecovery(scope, *recovery);
    });
    absl::Status status = builder.Finish();
    if (!status.ok()) {
      if (!context_.failed()) graph->errors().Fail("", status);
      return context_.attempt().failure().status();
    }
  } catch (const internal::StepFailed&) {
    return context_.attempt().failure().status();
  }
  by_id_[id] = graph.get();
  Graph& built = *graph;
  graphs_.emplace(id, std::move(graph));
  DeliverPending(built);
  return context_.attempt().failure().status();
}

absl::Status Worker::Cancel(std::string_view name) {
  if (context_.failed()) return context_.attempt().failure().status();
  const bool in_operator =
      !stepping_.empty() || std::ranges::any_of(graphs_, [](const auto& entry) {
        return entry.second->current_push().under_way();
      });
  if (in_operator) return RefuseCall("Cancel");
  for (auto entry = graphs_.rbegin(); entry != graphs_.rend(); ++entry) {
    if (entry->second->name() != name) continue;
    context_.attempt().stall_board().NoteCancel(entry->first, context_.attempt().Describe(index()));
    Remove(entry->first);
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrFormat("no dataflow named '%s' is running on worker %d", name, index()));
}

void Worker::Remove(uint32_t id) {
  std::erase(context_.active_graphs(), by_id_[id]);
  by_id_[id] = nullptr;
  graphs_.erase(id);
  context_.attempt().channel_credits().Remove(id);
  if (internal::Network* network = context_.attempt().network()) network->RemoveDataflow(id);
}

const Graph* Worker::BeingBuilt() const {
  return stepping_.size() == 1 && !stepping_[0]->queue().is_open() ? stepping_[0] : nullptr;
}

absl::Status Worker::RefuseCall(const char* call) const {
  if (const Graph* graph = BeingBuilt()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the function that builds dataflow '%s' called %s of worker %d; call it when Build has "
        "returned",
        graph->name(), call, index()));
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "an operator of worker %d called %s during a step; call it between steps", index(), call));
}

absl::Status Worker::Step() {
  if (!stepping_.empty()) return RefuseCall("Step");
  context_.set_waiting_host(nullptr);
  last_step_.did_work = StepOnce();
  if (wake_ != nullptr) LeaveToHost();
  return context_.attempt().failure().status();
}

absl::Status Worker::StepOrPark(absl::Duration timeout) {
  absl::Status status = StepOrSleep(timeout);
  if (wake_ != nullptr) wake_->LeaveForStep();
  return status.ok() ? context_.attempt().failure().status() : status;
}

// The failure of a step that did work is that of the next one, or of the caller.
absl::Status Worker::StepOrSleep(absl::Duration timeout) {
  if (!stepping_.empty()) return RefuseCall("Step");
  last_step_.did_work = StepOnce();
  if (last_step_.did_work) {
    idle_.Worked();
    return absl::OkStatus();
  }
  if (context_.failed()) return context_.attempt().failure().status();
  if (context_.run().options().waiting == Waiting::kSpinThenPark &&
      idle_.Idle() == internal::IdleStrategy::Decision::kSleep) {
    Sleep(timeout);
    idle_.Woke();
  }
  return absl::OkStatus();
}

// ---- The phases of a step ----

bool Worker::StepOnce() {
  if (context_.failed()) return false;
  bool did_work = false;
  if (context_.run().stop_requested() != stop_seen_) [[unlikely]] {
    stop_seen_ = true;
    StopSources();    // those that are idle do not run
    did_work = true;  // the caller checks its condition before it sleeps
  }
  did_work |= ReceiveFrames();
  did_work |= ApplyActivations();
  did_work |= RunTimers();
  did_work |= StepDataflows();
  did_work |= SendFrames();
  if (did_work && statistics_ != nullptr) ShowStatistics();
  return did_work;
}

inline bool Worker::ReceiveFrames() {
  bool any =
      endpoint_.Receive([this](const internal::Message& message, int) { DeliverMessage(message); });
  any |= endpoint_.ReceiveProgress(
      [this](int from, uint32_t dataflow, std::span<const std::byte> bytes) {
        DeliverProgress(from, dataflow, bytes);
      });
  return any;
}

inline bool Worker::ApplyActivations() {
  if (!endpoint_.TakeActivations(&activations_)) return false;
  for (uint64_t token : activations_) {
    if (Graph* graph = Find(static_cast<uint32_t>(token >> 32))) {
      graph->ActivateByIndex(static_cast<uint32_t>(token), /*by_thread=*/true);
    }
  }
  return true;
}

inline bool Worker::RunTimers() {
  internal::TimerQueue& timers = context_.timers();
  // Reading the clock costs more than a step; an idle worker has the time.
  if (timers.empty() || (++last_step_.number % kStepsPerClockRead != 0 && last_step_.did_work))
    return false;
  return timers.TakeDue(context_.NowNanos(), [this](uint32_t id, uint32_t node) {
    if (Graph* graph = Find(id)) graph->ActivateByIndex(node);
  });
}

inline bool Worker::StepDataflows() {
  bool any = false;
  stepping_.swap(context_.active_graphs());
  const size_t count = stepping_.size();
  for (size_t i = 0; i < count; ++i) {
    // The caches do not hold thousands of dataflows. The tracker is found by way of its graph.
    if (i + 2 < count) internal::Prefetch(*stepping_[i + 2]);
    if (i + 1 < count) stepping_[i + 1]->tracker().Prefetch();
    Graph* graph = stepping_[i];
    any |= graph->Step();
    if (graph->Complete()) {
      any = true;  // a host that waits for the end checks its condition
      Remove(graph->id());
    }
  }
  stepping_.clear();
  return any;
}

inline bool Worker::SendFrames() {
  endpoint_.Flush();
  return context_.remote() != nullptr && context_.remote()->EndStep();
}

void Worker::ShowStatistics() {
  if (by_id_.empty()) return;  // nothing has begun
  Epoch source_epoch = statistics_->source_epoch.load(std::memory_order_relaxed);
  Epoch epoch = internal::WorkerStatistics::kNoEpoch;
  for (const auto& [id, graph] : graphs_) {
    if (!graph->completion().is_watched()) continue;
    for (internal::SourceControl* source : graph->parts().sources) {
      if (source->epoch() < kStopEpoch) source_epoch = std::max(source_epoch, source->epoch());
    }
    for (Epoch time : graph->completion().frontier().elements()) {
      if (time < kStopEpoch) epoch = std::min(epoch, time);
    }
  }
  statistics_->records.store(context_.source_records(), std::memory_order_relaxed);
  statistics_->epoch.store(epoch, std::memory_order_relaxed);
  statistics_->source_epoch.store(source_epoch, std::memory_order_relaxed);
}

Graph* Worker::Find(uint32_t id) { return id < by_id_.size() ? by_id_[id] : nullptr; }

void Worker::DeliverMessage(const internal::Message& message) {
  if (Graph* graph = Find(message.dataflow())) {
    DeliverTo(*graph, message);
  } else if (message.dataflow() < by_id_.size()) {
    Drop(message);
  } else if (message.kind() == MessageKind::kCredit) {
    context_.attempt().failure().Report(absl::InvalidArgumentError(absl::StrFormat(
        "%s returned credit for dataflow number %d, but worker %d has sent nothing in it; that "
        "process runs another program, or its memory is corrupt",
        context_.attempt().DescribeProcess(static_cast<int>(message.credited().process)),
        message.dataflow(), index())));
  } else {
    pending_.AddMessage(message);
  }
}

void Worker::DeliverTo(Graph& graph, const internal::Message& message) {
  internal::ChannelBase* channel = graph.ChannelOf(message.channel());
  if (channel == nullptr) {
    RefuseChannel(graph, message);
    Drop(message);
    return;
  }
  switch (message.kind()) {
    case MessageKind::kBatch:
      channel->target().Accept(message.block());
      break;
    case MessageKind::kIncomingBatch:
      channel->AcceptRemote(message.block());
      break;
    case MessageKind::kCredit:
      channel->AddCredit(message.credited().bytes);
      break;
    case MessageKind::kOutgoingBatch:
    case MessageKind::kReturnedBytes:
    case MessageKind::kSmallBatch:
    case MessageKind::kReturnedBlocks:
      HEADWAY_UNREACHABLE("no endpoint sends this to a worker");
  }
}

void Worker::RefuseChannel(Graph& graph, const internal::Message& message) {
  const internal::Attempt& attempt = context_.attempt();
  const bool is_credit = message.kind() == MessageKind::kCredit;
  const bool is_alone = attempt.network() == nullptr;
  graph.errors().Fail(
      "", absl::InvalidArgumentError(absl::StrFormat(
              "%s sent %s channel number %d, which does not exist here; %s",
              is_credit ? attempt.DescribeProcess(static_cast<int>(message.credited().process))
                        : attempt.Describe(message.block()->sender),
              is_credit ? "credit for" : "a batch for", message.channel(),
              is_alone ? "the memory of this process is corrupt"
                       : "that process runs another program, or its memory is corrupt")));
}

void Worker::DeliverProgress(int from, uint32_t dataflow, std::span<const std::byte> bytes) {
  if (Graph* graph = Find(dataflow)) {
    graph->ApplyProgress(from, bytes);
    return;
  }
  if (dataflow < by_id_.size()) return;
  if (!pending_.AddRound(dataflow, from, bytes)) {
    context_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "worker %d has not built dataflow number %d: the progress that it holds for "
        "dataflows of other workers exceeds %d bytes; build the same dataflows on "
        "every worker",
        index(), dataflow, internal::PendingFrames::kMaxProgressBytes)));
  }
}

void Worker::DeliverPending(Graph& graph) {
  const internal::PendingFrames::Frames frames = pending_.Take(graph.id());
  for (const internal::Message& message : frames.messages) DeliverTo(graph, message);
  for (const internal::PendingFrames::Round& round : frames.rounds) {
    graph.ApplyProgress(round.from, round.bytes);
  }
}

void Worker::Drop(const internal::Message& message) {
  switch (message.kind()) {
    case MessageKind::kBatch: {
      const internal::Block& block = *message.block();
      context_.attempt().channel_credits().AddDropped(
          message.dataflow(), message.channel(), context_.local_index(),
          context_.run().topology().LocalIndex(block.sender), block.charged_bytes);
      context_.ReturnToPool(block.charged_bytes);
      break;
    }
    case MessageKind::kIncomingBatch:
      context_.remote()->ReturnBytes(message.dataflow(), message.channel(), *message.block());
      break;
    case MessageKind::kCredit:
      context_.ReturnToPool(message.credited().bytes);
      return;
    case MessageKind::kOutgoingBatch:
    case MessageKind::kReturnedBytes:
    case MessageKind::kSmallBatch:
    case MessageKind::kReturnedBlocks:
      HEADWAY_UNREACHABLE("no endpoint sends this to a worker");
  }
  context_.endpoint().Recycle(message.block());
}

// ---- Waiting ----

bool Worker::HasWork() {
  if (context_.failed() || context_.run().stop_requested() != stop_seen_) {
    return true;
  }
  bool starving = false;
  for (Graph* graph : context_.active_graphs()) {
    if (graph->HasWork()) return true;
    starving |= !graph->credit().empty();
  }
  if (!starving) return false;
  context_.attempt().flow_control().SetStarving();
  const auto& graphs = context_.active_graphs();
  return std::any_of(graphs.begin(), graphs.end(),
                     [](Graph* graph) { return graph->credit().MayContinueAny(); });
}

// Dataflows in which something waits have said so themselves at the end of the step.
bool Worker::NothingCanHappenWithoutCredit() {
  if (context_.PoolHasRoom()) return false;
  return std::all_of(graphs_.begin(), graphs_.end(), [](const auto& entry) {
    return entry.second->credit().empty() && internal::BytesThatWait(*entry.second) == 0;
  });
}

// Returns the longest time that the worker may sleep.
std::optional<std::chrono::nanoseconds> Worker::PrepareSleep(absl::Duration timeout) {
  const int64_t now = context_.NowNanos();
  if (idle_.TrimIsDue(now)) endpoint_.pool().Trim();
  if (endpoint_.pool().CanTrim()) {
    timeout = std::min(timeout, internal::IdleStrategy::kTrimPeriod);
  }
  if (!context_.timers().empty()) {
    timeout = std::min(timeout, absl::Nanoseconds(context_.timers().next_nanos() - now));
    if (context_.run().options().clock != nullptr) timeout = std::min(timeout, kForeignClockPoll);
  }
  // Only a worker that made room has a reason to wake those that wait for it.
  if (context_.TakeMadeRoom() && context_.attempt().flow_control().TakeStarvingBeforePark()) {
    endpoint_.WakeAll();
  }
  if (timeout == absl::InfiniteDuration()) return std::nullopt;
  return absl::ToChronoNanoseconds(timeout);
}

void Worker::Sleep(absl::Duration timeout) {
  const bool needs_message = timeout == absl::InfiniteDuration() && context_.timers().empty();
  const absl::Duration until_look = stalls_.BeforeSleep(idle_.TakeWorked(), needs_message, graphs_);
  if (until_look < timeout) {
    const bool has_foreign_clock = context_.run().options().clock != nullptr;
    timeout = has_foreign_clock ? std::min(until_look, kForeignClockPoll) : until_look;
  }
  const std::optional<std::chrono::nanoseconds> limit = PrepareSleep(timeout);
  const bool waits_idle = NothingCanHappenWithoutCredit();
  internal::CreditStandstill& standstill = context_.attempt().credit_standstill();
  if (waits_idle) standstill.Waits(context_.local_index(), 0);
  const auto has_work = [this] { return HasWork(); };
  internal::Network* network = context_.attempt().network();
  if (network == nullptr || !network->TryWait(endpoint_, limit, has_work)) {
    endpoint_.Park(limit, has_work);
  }
  stalls_.AfterSleep();
  if (waits_idle) standstill.Works(context_.local_index());
}

absl::StatusOr<int> Worker::wake_fd() {
  if (wake_ == nullptr) {
    internal::Network* network = context_.attempt().network();
    absl::StatusOr<std::unique_ptr<internal::WakeDescriptor>> made =
        internal::WakeDescriptor::Create(endpoint_,
                                         network != nullptr ? network->descriptor() : -1);
    if (!made.ok()) return made.status();
    wake_ = *std::move(made);
  }
  return wake_->descriptor();
}

void Worker::LeaveToHost() {
  const auto has_work = [this] { return HasWork(); };
  // Nothing that the network withholds may stay there, and nothing that it was woken for.
  internal::Network* network = context_.attempt().network();
  if (network != nullptr && !last_step_.did_work) {
    network->TryWait(endpoint_, std::chrono::nanoseconds::zero(), has_work);
  }
  wake_->Leave(PrepareSleep(absl::InfiniteDuration()), has_work);
  context_.set_waiting_host(&endpoint_.parker());
}

// ---- For entry points ----

void Worker::EndBuilding() {
  stalls_.NoteHostReturned();
  context_.attempt().credit_standstill().NoteHostReturned(context_.local_index());
  absl::Status status = context_.attempt().graph_comparison().EndBuilding(
      context_.attempt().Describe(index()), static_cast<uint32_t>(by_id_.size()));
  if (!status.ok()) context_.attempt().failure().Report(status);
}

std::vector<internal::SourceControl*> Worker::Sources() const {
  std::vector<internal::SourceControl*> sources;
  for (const auto& [id, graph] : graphs_) {
    sources.insert(sources.end(), graph->parts().sources.begin(), graph->parts().sources.end());
  }
  return sources;
}

void Worker::StopSources() {
  for (const auto& [id, graph] : graphs_) {
    for (internal::SourceControl* source : graph->parts().sources) {
      source->Stop();
      context_.timers().Remove(id, source->node().index());
    }
  }
}

Epoch Worker::resume_epoch() const { return context_.attempt().resume_point().first_epoch; }

bool Worker::HasDataflowsFedByHand() const {
  return std::any_of(graphs_.begin(), graphs_.end(),
                     [](const auto& entry) { return !entry.second->completion().is_watched(); });
}

bool Worker::CompletedStop() const {
  return std::all_of(graphs_.begin(), graphs_.end(), [](const auto& entry) {
    Graph& graph = *entry.second;
    if (graph.HasUnsentProgress()) return false;  // peers still need it
    return graph.completion().HasReachedStop();
  });
}

}  // namespace headway
