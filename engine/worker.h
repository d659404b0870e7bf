#ifndef HEADWAY_ENGINE_WORKER_H_
#define HEADWAY_ENGINE_WORKER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/graph/graph.h"
#include "engine/graph/scope.h"
#include "engine/runtime/idle_strategy.h"
#include "engine/runtime/pending_frames.h"
#include "engine/runtime/wake_descriptor.h"
#include "engine/runtime/worker_context.h"
#include "engine/stall_watch.h"

namespace headway {

namespace internal {
struct WorkerStatistics;
}  // namespace internal

// A thread of a run. It executes its share of every operator of every dataflow whenever the host,
// or an entry point, calls Step. All workers build the same dataflows in the same order.
//
// A worker and everything built on it belong to one thread; only ThreadActivator is thread safe.
// An exception of user code, or a failure of the system, ends the run: Step, StepWhile, Build and
// Cancel then return the first failure on every worker, and do nothing else.
class Worker {
 public:
  // For entry points. Makes worker number `local_index` of its process. `attempt` outlives it.
  Worker(internal::Attempt& attempt, int local_index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The number of this worker, from 0, and the number of workers, over all processes.
  int index() const { return context_.index(); }
  int count() const { return context_.count(); }

  // The epoch at which the dataflows begin: that of the options, or, in a run with recovery, the
  // first one that is not committed. A host feeds its inputs from there.
  Epoch resume_epoch() const;

  // Builds a dataflow, in addition to those that are running. Errors: InvalidArgument for an
  // invalid graph (a step id that is empty or used twice, a stream of another scope, a cycle that
  // does not advance time, a graph unlike that of the other workers); Aborted if `build` threw.
  // FailedPrecondition, without effect, if the function that builds a dataflow calls this.
  absl::Status Build(std::string_view name, absl::FunctionRef<void(Scope<>&)> build);

  // Removes the latest dataflow with this name, and its batches in flight. Every worker must cancel
  // it; frames that arrive late from other workers are dropped. Errors: NotFound;
  // FailedPrecondition if an operator of the worker, or the function that builds a dataflow, calls
  // this.
  absl::Status Cancel(std::string_view name);

  // Receives frames from other workers, runs the active operators and publishes progress. Never
  // waits. A call does a bounded amount of work. FailedPrecondition, without effect, if an operator
  // of the worker, or the function that builds a dataflow, calls this.
  absl::Status Step();

  // Steps while `condition()` is true. Waits for work (see Waiting) after a step without any.
  template <class Condition>
  absl::Status StepWhile(Condition&& condition) {
    while (condition()) {
      absl::Status status = StepOrSleep(absl::InfiniteDuration());
      if (!status.ok()) return status;
    }
    if (wake_ != nullptr) wake_->LeaveForStep();
    return context_.attempt().failure().status();
  }

  // Takes one step. If it did no work, waits for work, at most for `timeout`.
  absl::Status StepOrPark(absl::Duration timeout = absl::InfiniteDuration());

  // A descriptor that is readable when Step has something to do: frames, timers, activations, or a
  // request to stop. It is for hosts with an event loop of their own (poll, epoll, libuv, Asio).
  // Wait until it is readable, among the host's descriptors, and take a step; never read from it.
  // The worker owns it. A step may find nothing to do. A worker that is never asked for it pays
  // nothing. ResourceExhausted: the system is out of descriptors.
  absl::StatusOr<int> wake_fd();

  // Returns true if a dataflow is running. A dataflow that is complete on all workers is removed.
  bool HasDataflows() const { return !graphs_.empty(); }

  // For entry points, and tests that step workers themselves.

  internal::Attempt& attempt() { return context_.attempt(); }
  // Returns true if the last step did work.
  bool did_work() const { return last_step_.did_work; }
  // Declares that this worker builds no more dataflows. If another worker does, the run fails
  // instead of waiting for ever.
  void EndBuilding();
  std::vector<internal::SourceControl*> Sources() const;
  // Stops the sources of all dataflows. Sources also see the request when they run.
  void StopSources();
  // Returns true if a dataflow without sources is running.
  bool HasDataflowsFedByHand() const;
  // Returns true if every epoch before kStopEpoch is complete in the dataflows with sources, and
  // published, on all workers: a graceful stop has worked off everything.
  bool CompletedStop() const;

 private:
  // The dataflow that is being built, outside of a step; null if none is.
  const internal::Graph* BeingBuilt() const;
  // The error of a call in the middle of a step or of a build; `call` is "Step", for example.
  absl::Status RefuseCall(const char* call) const;

  // A step and its five phases. Each returns true if it did work.
  bool StepOnce();
  bool ReceiveFrames();
  bool ApplyActivations();
  bool RunTimers();
  bool StepDataflows();
  bool SendFrames();

  // Frames.
  void DeliverMessage(const internal::Message& message);
  void DeliverProgress(int from, uint32_t dataflow, std::span<const std::byte> bytes);
  void DeliverTo(internal::Graph& graph, const internal::Message& message);
  void DeliverPending(internal::Graph& graph);
  void RefuseChannel(internal::Graph& graph, const internal::Message& message);
  void Drop(const internal::Message& message);

  // Waiting.
  absl::Status StepOrSleep(absl::Duration timeout);
  std::optional<std::chrono::nanoseconds> PrepareSleep(absl::Duration timeout);
  void Sleep(absl::Duration timeout);
  void LeaveToHost();
  bool HasWork();
  bool NothingCanHappenWithoutCredit();

  // Returns null if the dataflow is not built yet, or is removed.
  internal::Graph* Find(uint32_t id);
  void Remove(uint32_t id);
  void ShowStatistics();

  internal::Endpoint endpoint_;
  const std::unique_ptr<internal::RemoteSender> remote_;  // null if there are no other processes
  internal::WorkerContext context_;
  std::map<uint32_t, std::unique_ptr<internal::Graph>> graphs_;
  std::vector<internal::Graph*> by_id_;  // null: removed
  internal::PendingFrames pending_;
  std::vector<internal::Graph*> stepping_;  // of the step under way; the graph that is being built
  std::vector<uint64_t> activations_;       // scratch of ApplyActivations
  struct LastStep {
    bool did_work = false;
    uint32_t number = 0;  // of the steps with timers
  };
  LastStep last_step_;
  internal::CurrentThread thread_;
  internal::IdleStrategy idle_;
  std::unique_ptr<internal::WakeDescriptor> wake_;  // null: the host has not asked for it
  internal::StallWatch stalls_;
  bool stop_seen_ = false;                        // a step has stopped the sources
  internal::WorkerStatistics* const statistics_;  // null: the run has no monitor
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_WORKER_H_
