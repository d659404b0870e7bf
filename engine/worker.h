#ifndef HEADWAY_ENGINE_WORKER_H_
#define HEADWAY_ENGINE_WORKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/graph/graph.h"
#include "engine/graph/scope.h"
#include "engine/runtime/worker_context.h"

namespace headway {

namespace internal {
struct WorkerStatistics;
}  // namespace internal

// A thread of a run: it executes its share of every operator of every dataflow. The host, or an
// entry point, calls Step again and again. All workers build the same dataflows in the same order.
//
// A worker and all that is built on it belong to one thread; nothing here is thread safe except
// what ThreadActivator does. When a step of user code throws, or a worker meets a failure of the
// system, the run has failed: Step, StepWhile, Build and Cancel return that first failure on every
// worker, and do nothing else.
class Worker {
 public:
  // Made by the entry points. `attempt` outlives the worker, which is number `local_index` of its
  // process.
  Worker(internal::Attempt& attempt, int local_index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // This worker, and how many there are, counted through all processes.
  int index() const { return context_.index; }
  int count() const { return context_.count; }

  // Builds a dataflow, beside those that run already. Errors: InvalidArgument for a graph that is
  // wrong (a step id that is empty or used twice, a stream of another scope, a cycle that does not
  // advance time, a graph unlike that of the other workers); Aborted if `build` threw.
  absl::Status Build(std::string_view name, absl::FunctionRef<void(Scope<>&)> build);

  // Takes the latest dataflow of that name away, with all that is on its way in it. Every worker
  // has to ask for it; frames that come late from other workers are dropped. Errors: NotFound;
  // FailedPrecondition when an operator of the worker asks for it.
  absl::Status Cancel(std::string_view name);

  // Does what can be done now: delivers what has come from other workers, runs the operators that
  // are active, shares progress. Never waits. FailedPrecondition, and nothing else, if one of the
  // worker's own operators asks for it.
  absl::Status Step();

  // Steps while `condition()` is true; waits (see Waiting) when there is nothing to do.
  template <class Condition>
  absl::Status StepWhile(Condition&& condition) {
    while (condition()) {
      absl::Status status = StepOrPark();
      if (!status.ok()) return status;
    }
    return context_.attempt.failure().status();
  }

  // One step; if it found nothing to do, waits for work, at most for `timeout`.
  absl::Status StepOrPark(absl::Duration timeout = absl::InfiniteDuration());

  // Whether a dataflow is still running: one that is complete on all workers is taken away.
  bool HasDataflows() const { return !graphs_.empty(); }

  // For the entry points, and tests that step workers themselves.
  bool did_work() const { return did_work_; }
  // Says that nothing more is built here, so that the run fails, and does not wait for ever, if
  // other workers build more.
  void EndBuilding();
  std::vector<internal::SourceControl*> Sources() const;
  // Whether a dataflow without sources is still running.
  bool HasDataflowsFedByHand() const;
  // Whether every record of the epochs before `epoch` has left the dataflows that have sources.
  bool CompletedBefore(Epoch epoch) const;

 private:
  struct PendingFrames {
    std::vector<internal::Message> messages;
    std::vector<std::pair<int, std::vector<std::byte>>> progress;  // from which endpoint
  };

  absl::Status SteppedByOperator() const;
  bool StepOnce();
  // Takes a dataflow away that was built.
  void Remove(uint32_t id);
  bool RunTimers();
  void DeliverMessage(const internal::Message& message);
  void DeliverProgress(int from, uint32_t dataflow, std::span<const std::byte> bytes);
  void DeliverTo(internal::Graph& graph, const internal::Message& message);
  void RefuseChannel(internal::Graph& graph, const internal::Message& message);
  void Drop(const internal::Message& message);
  void DeliverPending(internal::Graph& graph);
  void Wait(absl::Duration timeout);
  void Yield(int64_t now);
  static int64_t SpinNanos(const internal::Topology& topology, bool each_has_a_core);
  static int LooksBeforeYield(const internal::Topology& topology, bool each_has_a_core);
  bool HasWork();
  internal::Graph* Find(uint32_t id);
  void ShowStatistics();

  internal::Endpoint endpoint_;
  internal::WorkerContext context_;
  std::map<uint32_t, std::unique_ptr<internal::Graph>> graphs_;
  std::vector<internal::Graph*> by_id_;        // null where a dataflow has gone
  std::map<uint32_t, PendingFrames> pending_;  // for dataflows that are not built here yet
  size_t pending_progress_bytes_ = 0;          // of all of them
  std::vector<internal::Graph*> stepping_;
  std::vector<uint64_t> activations_;
  bool did_work_ = false;
  uint32_t step_count_ = 0;
  const bool each_has_a_core_;  // in this process
  const int64_t spin_nanos_;
  const int looks_before_yield_;
  int looks_ = 0;                                 // idle steps in a row, up to looks_before_yield_
  bool shares_core_ = false;                      // as the last yield showed
  int long_yields_ = 0;                           // that showed it, in a row
  int64_t moved_nanos_ = 0;                       // when it last left a core that it shared
  int64_t move_period_nanos_ = 0;                 // how long it then stays
  internal::WorkerStatistics* const statistics_;  // null: nobody watches the run
  int64_t idle_since_nanos_ = -1;
  int idle_spins_ = 0;
  int64_t trimmed_nanos_ = 0;
  bool worked_since_trim_ = false;
  bool stop_seen_ = false;  // a request to stop that came before the last wait ended
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_WORKER_H_
