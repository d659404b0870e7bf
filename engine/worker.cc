#include "engine/worker.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/system/thread_placement.h"
#include "engine/graph/channel.h"
#include "engine/graph/graph_builder.h"
#include "engine/graph/source_control.h"
#include "engine/runtime/network.h"
#include "engine/runtime/run_monitor.h"

namespace headway {

using internal::Graph;
using internal::MessageKind;

namespace {

// The clock is read every so many steps, and in every step that follows an idle one.
constexpr uint32_t kStepsPerClockRead = 16;
// Progress of a dataflow that this worker has not built yet.
constexpr size_t kMaxPendingProgressBytes = size_t{64} << 20;

}  // namespace

Worker::Worker(internal::Attempt& attempt, int local_index)
    : endpoint_(&attempt.fabric(), local_index),
      context_{.index = attempt.run().topology().first_worker() + local_index,
               .count = attempt.run().topology().worker_count(),
               .local_index = local_index,
               .run = attempt.run(),
               .attempt = attempt,
               .endpoint = endpoint_,
               .credit = internal::FlowControl::View(&attempt.flow_control(), local_index),
               .active_graphs = {},
               .timers = {}},
      each_has_a_core_(internal::EachHasAProcessor(attempt.run().topology().workers_per_process)),
      spin_nanos_(SpinNanos(attempt.run().topology(), each_has_a_core_)),
      looks_before_yield_(LooksBeforeYield(attempt.run().topology(), each_has_a_core_)),
      statistics_(attempt.run().monitor() != nullptr
                      ? &attempt.run().monitor()->OfWorker(local_index)
                      : nullptr) {}

Worker::~Worker() {
  graphs_.clear();
  for (auto& [id, frames] : pending_) {
    for (const internal::Message& message : frames.messages) Drop(message);
  }
  context_.endpoint.Close();
}

absl::Status Worker::Build(std::string_view name, absl::FunctionRef<void(Scope<>&)> build) {
  if (context_.attempt.failure().occurred()) return context_.attempt.failure().status();
  const auto id = static_cast<uint32_t>(by_id_.size());
  if (context_.attempt.network() != nullptr && id >= internal::kMaxDataflows) {
    context_.attempt.failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "dataflow '%s' on %s: a run of several processes builds at most %d dataflows", name,
        context_.attempt.Describe(index()), internal::kMaxDataflows)));
    return context_.attempt.failure().status();
  }
  auto graph = std::make_unique<Graph>(context_, id, std::string(name));
  by_id_.push_back(nullptr);
  try {
    internal::GraphBuilder builder(*graph);
    graph->errors().Guard("", [&] {
      auto& scope = graph->objects().Make<Scope<>>(*graph, graph->completion().root(), "");
      scope.LinkEndToCompletion();
      build(scope);
    });
    absl::Status status = builder.Finish();
    if (!status.ok()) {
      if (!context_.attempt.failure().occurred()) graph->errors().Fail("", status);
      return context_.attempt.failure().status();
    }
  } catch (const internal::StepFailed&) {
    return context_.attempt.failure().status();
  }
  by_id_[id] = graph.get();
  Graph& built = *graph;
  graphs_.emplace(id, std::move(graph));
  DeliverPending(built);
  return context_.attempt.failure().status();
}

absl::Status Worker::Cancel(std::string_view name) {
  if (context_.attempt.failure().occurred()) return context_.attempt.failure().status();
  const bool in_operator =
      !stepping_.empty() || std::ranges::any_of(graphs_, [](const auto& entry) {
        return entry.second->current_push().under_way();
      });
  if (in_operator) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "dataflow '%s' cannot be cancelled by one of the worker's operators; do it between steps",
        name));
  }
  for (auto entry = graphs_.rbegin(); entry != graphs_.rend(); ++entry) {
    if (entry->second->name() != name) continue;
    Remove(entry->first);
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrFormat("no dataflow named '%s' is running on worker %d", name, index()));
}

void Worker::Remove(uint32_t id) {
  std::erase(context_.active_graphs, by_id_[id]);
  by_id_[id] = nullptr;
  graphs_.erase(id);
  if (internal::Network* network = context_.attempt.network()) network->RemoveDataflow(id);
}

absl::Status Worker::SteppedByOperator() const {
  return absl::FailedPreconditionError(absl::StrFormat(
      "worker %d is asked for a step by an operator that runs in one: return from the operator, "
      "and it goes on",
      index()));
}

absl::Status Worker::Step() {
  if (!stepping_.empty()) return SteppedByOperator();
  did_work_ = StepOnce();
  return context_.attempt.failure().status();
}

absl::Status Worker::StepOrPark(absl::Duration timeout) {
  if (!stepping_.empty()) return SteppedByOperator();
  did_work_ = StepOnce();
  if (context_.attempt.failure().occurred()) return context_.attempt.failure().status();
  if (did_work_) {
    looks_ = 0;
    idle_since_nanos_ = -1;
    worked_since_trim_ = true;
  } else if (context_.run.options().waiting == Waiting::kSpinThenPark) {
    Wait(timeout);
  }
  return absl::OkStatus();
}

bool Worker::StepOnce() {
  if (context_.attempt.failure().occurred()) return false;
  internal::Endpoint& endpoint = context_.endpoint;
  bool any =
      endpoint.Receive([this](const internal::Message& message, int) { DeliverMessage(message); });
  any |= endpoint.ReceiveProgress(
      [this](int from, uint32_t dataflow, std::span<const std::byte> bytes) {
        DeliverProgress(from, dataflow, bytes);
      });
  if (endpoint.TakeActivations(&activations_)) {
    any = true;
    for (uint64_t token : activations_) {
      if (Graph* graph = Find(static_cast<uint32_t>(token >> 32))) {
        graph->ActivateByIndex(static_cast<uint32_t>(token), true);
      }
    }
  }
  if (!context_.timers.empty() && (++step_count_ % kStepsPerClockRead == 0 || !did_work_)) {
    any |= RunTimers();
  }
  stepping_.swap(context_.active_graphs);
  for (Graph* graph : stepping_) {
    any |= graph->Step();
    if (graph->Complete()) {
      any = true;  // who waits for the end looks again
      Remove(graph->id());
    }
  }
  stepping_.clear();
  endpoint.Flush();
  if (internal::Network* network = context_.attempt.network()) {
    any |= network->Pump(std::exchange(context_.network_output, false));
    context_.unpumped_bytes = 0;
  }
  if (any && statistics_ != nullptr) ShowStatistics();
  return any;
}

void Worker::ShowStatistics() {
  if (by_id_.empty()) return;  // nothing has begun
  Epoch source_epoch = statistics_->source_epoch.load(std::memory_order_relaxed);
  Epoch epoch = internal::WorkerStatistics::kNoEpoch;
  for (const auto& [id, graph] : graphs_) {
    if (!graph->completion().is_watched()) continue;
    for (internal::SourceControl* source : graph->parts().sources) {
      source_epoch = std::max(source_epoch, source->epoch());
    }
    for (Epoch time : graph->completion().frontier().elements()) {
      epoch = std::min(epoch, time);
    }
  }
  statistics_->records.store(context_.source_records, std::memory_order_relaxed);
  statistics_->epoch.store(epoch, std::memory_order_relaxed);
  statistics_->source_epoch.store(source_epoch, std::memory_order_relaxed);
}

bool Worker::RunTimers() {
  const int64_t now = context_.NowNanos();
  bool any = false;
  while (!context_.timers.empty() && context_.timers.front().nanos <= now) {
    internal::WorkerContext::Timer timer = context_.timers.front();
    std::pop_heap(context_.timers.begin(), context_.timers.end(), std::greater<>());
    context_.timers.pop_back();
    if (Graph* graph = Find(timer.graph)) graph->ActivateByIndex(timer.node);
    any = true;
  }
  return any;
}

Graph* Worker::Find(uint32_t id) { return id < by_id_.size() ? by_id_[id] : nullptr; }

void Worker::DeliverMessage(const internal::Message& message) {
  if (Graph* graph = Find(message.dataflow())) {
    DeliverTo(*graph, message);
  } else if (message.dataflow() < by_id_.size()) {
    Drop(message);
  } else if (message.kind() == MessageKind::kCredit) {
    context_.attempt.failure().Report(absl::InvalidArgumentError(absl::StrFormat(
        "%s sent credit for dataflow number %d, of which worker %d has sent it nothing; it is not "
        "the same program, or its memory is corrupt",
        context_.attempt.network()->Describe(static_cast<int>(message.credited().process)),
        message.dataflow(), index())));
  } else {
    pending_[message.dataflow()].messages.push_back(
        message);  // bounded by the credits of the senders
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
  const internal::Attempt& attempt = context_.attempt;
  const bool is_credit = message.kind() == MessageKind::kCredit;
  const bool is_alone = attempt.network() == nullptr;
  graph.errors().Fail(
      "", absl::InvalidArgumentError(absl::StrFormat(
              "%s sent %s channel number %d, which does not exist here; %s",
              is_credit ? attempt.network()->Describe(static_cast<int>(message.credited().process))
                        : attempt.Describe(message.block()->sender),
              is_credit ? "credit for" : "a batch for", message.channel(),
              is_alone ? "the memory of this process is corrupt"
                       : "it is not the same program, or its memory is corrupt")));
}

void Worker::DeliverProgress(int from, uint32_t dataflow, std::span<const std::byte> bytes) {
  if (Graph* graph = Find(dataflow)) {
    graph->ApplyProgress(from, bytes);
    return;
  }
  if (dataflow < by_id_.size()) return;
  PendingFrames& frames = pending_[dataflow];
  frames.progress.push_back({from, {bytes.begin(), bytes.end()}});
  pending_progress_bytes_ += sizeof(frames.progress.back()) + bytes.size();
  if (pending_progress_bytes_ > kMaxPendingProgressBytes) {
    context_.attempt.failure().Report(absl::ResourceExhaustedError(
        absl::StrFormat("worker %d has not built dataflow number %d and perhaps others, whose "
                        "progress on other workers no longer fits in %d bytes; build the same "
                        "dataflows on every worker",
                        index(), dataflow, kMaxPendingProgressBytes)));
  }
}

void Worker::DeliverPending(Graph& graph) {
  auto frames = pending_.extract(graph.id());
  if (frames.empty()) return;
  for (const internal::Message& message : frames.mapped().messages) {
    DeliverTo(graph, message);
  }
  for (const auto& round : frames.mapped().progress) {
    graph.ApplyProgress(round.first, round.second);
    pending_progress_bytes_ -= sizeof(round) + round.second.size();
  }
}

void Worker::Drop(const internal::Message& message) {
  switch (message.kind()) {
    case MessageKind::kBatch:
      context_.ReturnToPool(message.block()->charged_bytes);
      break;
    case MessageKind::kIncomingBatch:
      context_.ReturnRemote(message.dataflow(), message.channel(), *message.block());
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
  context_.endpoint.Recycle(message.block());
}

void Worker::EndBuilding() {
  absl::Status status = context_.attempt.graph_comparison().EndBuilding(
      context_.attempt.Describe(index()), static_cast<uint32_t>(by_id_.size()));
  if (!status.ok()) context_.attempt.failure().Report(std::move(status));
}

std::vector<internal::SourceControl*> Worker::Sources() const {
  std::vector<internal::SourceControl*> sources;
  for (const auto& [id, graph] : graphs_) {
    sources.insert(sources.end(), graph->parts().sources.begin(), graph->parts().sources.end());
  }
  return sources;
}

bool Worker::HasDataflowsFedByHand() const {
  return std::any_of(graphs_.begin(), graphs_.end(),
                     [](const auto& entry) { return !entry.second->completion().is_watched(); });
}

bool Worker::CompletedBefore(Epoch epoch) const {
  return std::all_of(graphs_.begin(), graphs_.end(), [epoch](const auto& entry) {
    Graph& graph = *entry.second;
    if (graph.HasUnsentProgress()) return false;  // peers still need it
    return !graph.completion().is_watched() || !graph.completion().frontier().LessThan(epoch);
  });
}

}  // namespace headway
