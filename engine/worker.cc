#include "headway/engine/worker.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "headway/comm/thread_placement.h"
#include "headway/engine/channel.h"
#include "headway/engine/network.h"
#include "headway/engine/source_control.h"

namespace headway {

using internal::Graph;

namespace {

// Spinning for about the cost of a wake-up costs at most twice what the better choice would have;
// with more workers than cores the others need the core.
constexpr int64_t kSpinNanos = 50'000;
constexpr int64_t kSpinNanosWhenCrowded = 5'000;
// A fellow worker that has a core of its own answers within a microsecond or two, which is about
// what one sched_yield takes: so long a worker looks again at once.
constexpr int kLooksBeforeYield = 64;
// One of another process answers within a few, and a look is a system call.
constexpr int kLooksOfProcesses = 16;
// A sched_yield that takes longer has let another thread run: this worker shares its core.
constexpr int64_t kLongYieldNanos = 1'500;
// A worker that shares its processor for so many yields in a row moves to another one. The workers
// of a process have different limits, so that not all that share a processor leave it. Where it
// moves in vain, because others run there too, it moves seldom.
constexpr int kLongYieldsBeforeMove = 8;
constexpr int kMoveLimits = 256;
constexpr int64_t kMinMovePeriodNanos = 5'000'000;
constexpr int64_t kMaxMovePeriodNanos = 1'000'000'000;
// Ends the spin also under a clock that stands still.
constexpr int kMaxIdleSpins = 100'000;
// A clock that the host moves does not wake a worker that sleeps: it looks this often.
constexpr absl::Duration kForeignClockPoll = absl::Milliseconds(1);
// A worker that had nothing to do for this long gives half of its free blocks back.
constexpr absl::Duration kTrimPeriod = absl::Seconds(1);
// The clock is read every so many steps, and in every step that follows an idle one.
constexpr uint32_t kStepsPerClockRead = 16;
// Progress of a dataflow that this worker has not built yet.
constexpr size_t kMaxPendingProgressBytes = size_t{64} << 20;

int64_t SpinNanos(const internal::Topology& topology, bool each_has_a_core) {
  if (topology.worker_count() == 1) return 0;
  return each_has_a_core ? kSpinNanos : kSpinNanosWhenCrowded;
}

int LooksBeforeYield(const internal::Topology& topology, bool each_has_a_core) {
  if (topology.worker_count() == 1 || !each_has_a_core) return 0;
  if (topology.worker_count() == topology.workers_per_process) return kLooksBeforeYield;
  return topology.workers_per_process == 1 ? kLooksOfProcesses : 0;
}

}  // namespace

Worker::Worker(internal::RunState& run, int local_index)
    : endpoint_(&run.fabric(), local_index),
      context_{.index = run.topology().first_worker() + local_index,
               .count = run.topology().worker_count(),
               .local_index = local_index,
               .run = run,
               .endpoint = endpoint_,
               .credit = internal::FlowControl::View(&run.flow_control(), local_index),
               .active_graphs = {},
               .timers = {}},
      each_has_a_core_(internal::EachHasAProcessor(run.topology().workers_per_process)),
      spin_nanos_(SpinNanos(run.topology(), each_has_a_core_)),
      looks_before_yield_(LooksBeforeYield(run.topology(), each_has_a_core_)),
      move_period_nanos_(kMinMovePeriodNanos),
      statistics_(run.options().monitor != nullptr ? &run.options().monitor->OfWorker(local_index)
                                                   : nullptr) {}

Worker::~Worker() {
  graphs_.clear();
  for (auto& [id, frames] : pending_) {
    for (const internal::Message& message : frames.messages) Drop(message);
  }
  context_.endpoint.Close();
}

absl::Status Worker::Build(std::string_view name, absl::FunctionRef<void(Scope<>&)> build) {
  if (context_.run.failed()) return context_.run.status();
  const auto id = static_cast<uint32_t>(by_id_.size());
  auto graph = std::make_unique<Graph>(context_, id, std::string(name));
  by_id_.push_back(nullptr);
  try {
    graph->GuardStep("", [&] {
      auto& scope = graph->Make<Scope<>>(*graph, graph->root(), "");
      scope.LinkEndToCompletion();
      build(scope);
    });
    absl::Status status = graph->Finish();
    if (!status.ok()) {
      if (!context_.run.failed()) graph->Fail("", status);
      return context_.run.status();
    }
  } catch (const internal::StepFailed&) {
    return context_.run.status();
  }
  by_id_[id] = graph.get();
  Graph& built = *graph;
  graphs_.emplace(id, std::move(graph));
  DeliverPending(built);
  return context_.run.status();
}

absl::Status Worker::Cancel(std::string_view name) {
  if (!stepping_.empty()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "dataflow '%s' cannot be cancelled by one of the worker's operators; do it between steps",
        name));
  }
  for (auto entry = graphs_.rbegin(); entry != graphs_.rend(); ++entry) {
    if (entry->second->name() != name) continue;
    const uint32_t id = entry->first;
    std::erase(context_.active_graphs, by_id_[id]);
    by_id_[id] = nullptr;
    graphs_.erase(id);
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrFormat("no dataflow named '%s' is running on worker %d", name, index()));
}

absl::Status Worker::Step() {
  did_work_ = StepOnce();
  return context_.run.status();
}

absl::Status Worker::StepOrPark(absl::Duration timeout) {
  did_work_ = StepOnce();
  if (context_.run.failed()) return context_.run.status();
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
  if (context_.run.failed()) return false;
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
        graph->ActivateByIndex(static_cast<uint32_t>(token));
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
      std::erase(context_.active_graphs, graph);
      const uint32_t id = graph->id();
      by_id_[id] = nullptr;
      graphs_.erase(id);
    }
  }
  stepping_.clear();
  endpoint.Flush();
  if (internal::Network* network = context_.run.network()) {
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
    if (!graph->has_completion()) continue;
    for (internal::SourceControl* source : graph->sources()) {
      source_epoch = std::max(source_epoch, source->epoch());
    }
    for (Epoch time : graph->root().frontier(graph->completion()).elements()) {
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
  if (Graph* graph = Find(message.dataflow)) {
    DeliverTo(*graph, message);
  } else if (message.dataflow < by_id_.size()) {
    Drop(message);
  } else {
    pending_[message.dataflow].messages.push_back(
        message);  // bounded by the credits of the senders
  }
}

void Worker::DeliverTo(Graph& graph, const internal::Message& message) {
  internal::ChannelBase* channel = graph.ChannelOf(message.channel);
  if (channel == nullptr) {
    RefuseChannel(graph, message);
    Drop(message);
  } else if (message.kind == internal::kDataMessage) {
    channel->target().Accept(message.block);
  } else if (message.kind == internal::kRemoteBatch) {
    channel->AcceptRemote(message.block);
  } else {
    channel->AddCredit(message.charged_bytes);
    AddCredit(message);
  }
}

void Worker::RefuseChannel(Graph& graph, const internal::Message& message) {
  const internal::RunState& run = context_.run;
  const bool is_credit = message.kind == internal::kCredit;
  const bool is_alone = run.network() == nullptr;
  graph.Fail("", absl::InvalidArgumentError(absl::StrFormat(
                     "%s sent %s channel number %d, which does not exist here; %s",
                     is_credit ? run.network()->Describe(static_cast<int>(message.extra))
                               : run.Describe(message.block->sender),
                     is_credit ? "credit for" : "a batch for", message.channel,
                     is_alone ? "the memory of this process is corrupt"
                              : "it is not the same program, or its memory is corrupt")));
}

void Worker::AddCredit(const internal::Message& message) {
  context_.run.flow_control().AddTaken(context_.local_index, message.charged_bytes);
  context_.TellOfRoom();
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
    context_.run.Fail(absl::ResourceExhaustedError(
        absl::StrFormat("worker %d has not built dataflow number %d and perhaps others, whose "
                        "progress on other workers no longer fits in %d bytes; build the same "
                        "dataflows on every worker",
                        index(), dataflow, kMaxPendingProgressBytes)));
  }
}

void Worker::DeliverPending(Graph& graph) {
  auto frames = pending_.find(graph.id());
  if (frames == pending_.end()) return;
  for (const internal::Message& message : frames->second.messages) {
    DeliverTo(graph, message);
  }
  for (const auto& round : frames->second.progress) {
    graph.ApplyProgress(round.first, round.second);
    pending_progress_bytes_ -= sizeof(round) + round.second.size();
  }
  pending_.erase(frames);
}

void Worker::Drop(const internal::Message& message) {
  if (message.kind == internal::kCredit) {
    AddCredit(message);
    return;
  }
  if (message.kind == internal::kRemoteBatch) {
    context_.ReturnRemote(message.dataflow, message.channel, *message.block);
  } else {
    context_.run.flow_control().AddTaken(context_.local_index,
                                         internal::ChargedBytes(*message.block));
    context_.took_bytes = true;
  }
  context_.endpoint.Recycle(message.block);
}

bool Worker::HasWork() {
  if (context_.run.failed() || context_.run.stop_requested() != stop_seen_) return true;
  bool starving = false;
  for (Graph* graph : context_.active_graphs) {
    if (graph->HasWork()) return true;
    starving |= graph->WaitsForCredit();
  }
  if (!starving) return false;
  context_.run.flow_control().SetStarving();
  return context_.credit.PoolHasRoom();
}

void Worker::Wait(absl::Duration timeout) {
  if (!shares_core_ && looks_ < looks_before_yield_) {
    ++looks_;
    internal::CpuRelax();
    return;
  }
  const int64_t now = context_.NowNanos();
  if (idle_since_nanos_ < 0) {
    idle_since_nanos_ = now;
    idle_spins_ = 0;
  }
  if (now - idle_since_nanos_ < spin_nanos_ && ++idle_spins_ < kMaxIdleSpins) {
    Yield(now);
    return;
  }
  if (now - trimmed_nanos_ >= absl::ToInt64Nanoseconds(kTrimPeriod)) {
    if (!worked_since_trim_) context_.endpoint.pool().Trim();
    worked_since_trim_ = false;
    trimmed_nanos_ = now;
  }
  if (context_.endpoint.pool().CanTrim()) timeout = std::min(timeout, kTrimPeriod);
  if (!context_.timers.empty()) {
    timeout = std::min(timeout, absl::Nanoseconds(context_.timers.front().nanos - now));
    if (context_.run.options().clock != nullptr) timeout = std::min(timeout, kForeignClockPoll);
  }
  std::optional<std::chrono::nanoseconds> limit;
  if (timeout != absl::InfiniteDuration()) limit = absl::ToChronoNanoseconds(timeout);
  // Only who has made room has a reason to wake those that wait for it.
  if (std::exchange(context_.took_bytes, false) &&
      context_.run.flow_control().TakeStarvingBeforePark()) {
    context_.endpoint.WakeAll();
  }
  internal::Network* network = context_.run.network();
  if (network == nullptr ||
      !network->TryWait(context_.endpoint, limit, [this] { return HasWork(); })) {
    context_.endpoint.Park(limit, [this] { return HasWork(); });
  }
  stop_seen_ =
      context_.run.stop_requested();  // the caller looks at its condition before the next wait
  looks_ = 0;
  long_yields_ = 0;
  idle_since_nanos_ = -1;
}

void Worker::Yield(int64_t now) {
  sched_yield();
  shares_core_ = context_.NowNanos() - now > kLongYieldNanos;
  if (!shares_core_) {
    long_yields_ = 0;
    if (now - moved_nanos_ > kMaxMovePeriodNanos) move_period_nanos_ = kMinMovePeriodNanos;
    return;
  }
  const int limit = kLongYieldsBeforeMove * (1 + index() % kMoveLimits);
  if (++long_yields_ < limit || now - moved_nanos_ < move_period_nanos_ || !each_has_a_core_) {
    return;
  }
  internal::MoveThreadOn();
  long_yields_ = 0;
  moved_nanos_ = now;
  move_period_nanos_ = std::min(2 * move_period_nanos_, kMaxMovePeriodNanos);
}

std::vector<internal::SourceControl*> Worker::Sources() const {
  std::vector<internal::SourceControl*> sources;
  for (const auto& [id, graph] : graphs_) {
    sources.insert(sources.end(), graph->sources().begin(), graph->sources().end());
  }
  return sources;
}

bool Worker::HasDataflowsFedByHand() const {
  return std::any_of(graphs_.begin(), graphs_.end(),
                     [](const auto& entry) { return !entry.second->has_completion(); });
}

bool Worker::CompletedBefore(Epoch epoch) const {
  return std::all_of(graphs_.begin(), graphs_.end(), [epoch](const auto& entry) {
    Graph& graph = *entry.second;
    if (graph.HasUnsentProgress()) return false;  // peers still need it
    return !graph.has_completion() || !graph.root().frontier(graph.completion()).LessThan(epoch);
  });
}

}  // namespace headway
