#ifndef HEADWAY_ENGINE_GRAPH_GRAPH_H_
#define HEADWAY_ENGINE_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "engine/graph/node.h"
#include "engine/runtime/worker_context.h"
#include "progress/process_sum.h"
#include "progress/tracker.h"

namespace headway {
class StateBase;
}

namespace headway::internal {

class ChannelBase;
class CapabilityLedgerBase;
class SourceControl;

// Thrown, after the failure was recorded, to leave the step that failed; it never leaves the
// library.
struct StepFailed {};

// One dataflow on one worker: its nodes and channels, its progress tracker, and the queue of nodes
// that want to run.
//
// The life of a step: (1) what came from other workers was delivered (InputPortBase::Accept,
// ApplyProgress); (2) frontiers are brought up to date and the nodes that watch them activated; (3)
// active nodes run; (4) the net progress changes of all that are published as one atomic round; (5)
// frontiers once more, so that probes see the round.
//
// Belongs to its worker and its thread.
class Graph {
 public:
  Graph(WorkerContext& worker, uint32_t id, std::string name);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  WorkerContext& worker() { return worker_; }
  Tracker& tracker() { return tracker_; }
  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }

  // ---- Building ----

  // Registers a step's full id; an empty or repeated one is an InvalidArgument failure of the
  // build.
  void ClaimStepId(const std::string& step_id);
  // Adds to what is compared between the workers.
  void DescribeStep(std::string description) { steps_.push_back(std::move(description)); }
  Node& AddNode(std::string step_id);
  // Gives the channel its number, and its input the frames that carry it.
  void AddChannel(ChannelBase* channel);
  void AddLedger(CapabilityLedgerBase* ledger);
  // State, known by the step's id to recovery (planned).
  void AddState(const std::string& step_id, StateBase* state) {
    states_.push_back({step_id, state});
  }
  const std::vector<std::pair<std::string, StateBase*>>& states() const { return states_; }
  void AddSource(SourceControl* source) { sources_.push_back(source); }
  // Keeps an object of the graph alive as long as the graph.
  template <class U>
  U& Own(std::unique_ptr<U> object) {
    U& reference = *object;
    owned_.push_back({object.release(), [](void* p) { delete static_cast<U*>(p); }});
    return reference;
  }
  // Calls `f` when the graph is taken down, before anything of it is: for what other objects know
  // of it.
  void AtEnd(absl::AnyInvocable<void()> f) { at_end_.push_back(std::move(f)); }
  template <class U, class... Args>
  U& Make(Args&&... args) {
    return Own(std::make_unique<U>(std::forward<Args>(args)...));
  }
  // Describes a location in error messages.
  void NameLocation(LocationId location, std::string name);
  // Marks that a path leads on from a location; locations without one are where records leave the
  // dataflow.
  void MarkSuccessor(LocationId location);
  bool HasSuccessor(LocationId location) const;
  // Makes what stands behind `loop`, the port of a cycle, stand behind `ports` too, whose records
  // go round without a node in between. Returns false, and does nothing, if those are the cycle's
  // own: then the cycle has no node.
  bool ConnectPorts(OutputPortBase& loop, const std::vector<OutputPortBase*>& ports);
  // Ends the build: checks the graph and computes the first frontiers.
  absl::Status Finish();
  bool built() const { return built_; }
  // Fails for a step that is added to a graph which is built: its stream was kept too long.
  void RequireUnbuilt(std::string_view step_id) {
    if (built_) FailBuilt(step_id);
  }

  // ---- Running ----

  // One round. Returns whether anything was done.
  bool Step();
  // True while a step would find something to do: the worker does not park then.
  bool HasWork() const;
  // Whether a round waits for room in the log of this worker.
  bool HasUnsentProgress() const { return unsent_; }
  // True while a node or a transform waits for credit.
  bool WaitsForCredit() const { return !blocked_.empty() || !stalled_.empty(); }
  // True when nothing can ever happen again in this dataflow, on any worker.
  bool Complete() const {
    return built_ && !unsent_ && ready_.empty() && blocked_.empty() && stalled_.empty() &&
           tracker_.Complete();
  }

  // Null if there is no such channel.
  ChannelBase* ChannelOf(uint32_t channel) {
    return channel < channels_.size() ? channels_[channel] : nullptr;
  }
  // Applies a round of progress that came from endpoint `from`.
  void ApplyProgress(int from, std::span<const std::byte> encoded);

  void Activate(Node& node);
  void ActivateByIndex(uint32_t node_index);
  // Runs the node again when there may be credit.
  void AwaitCredit(Node& node);
  // Activates the node when the clock has reached `nanos`.
  void ActivateAt(Node& node, int64_t nanos);
  void MarkActive() {
    if (!active_ && built_) JoinActive();
  }

  // ---- Failures ----

  // Ends the run with a status that names the step and the worker. The first failure wins.
  void Fail(std::string_view step_id, const absl::Status& status);
  // The same for an exception of user code that is being handled; then throws StepFailed.
  [[noreturn]] void FailWithCurrentException(std::string_view step_id);
  // Runs user code: an exception that leaves it fails the step, and StepFailed goes on up. The id,
  // a std::string or a literal, is read only then.
  template <class Id, class F>
  void GuardStep(const Id& step_id, F&& f) {
    try {
      f();
    } catch (const StepFailed&) {
      throw;
    } catch (...) {
      FailWithCurrentException(step_id);
    }
  }
  [[noreturn]] void FailAndThrow(std::string_view step_id, const absl::Status& status);

  // ---- Bounded memory ----

  // Begins to push what goes out of `port`: a batch at the port's time, or, if a transform goes on
  // with the rest of one, what it keeps `resumed` for. There is one push at a time in a dataflow:
  // one from within another, of a function that sends to an input of its own dataflow, fails the
  // run with FailedPrecondition, since transforms are in the middle of a batch.
  void BeginPush(OutputPortBase& port, const OutputPortBase::Hold* resumed = nullptr) {
    if (pushing_port_ != nullptr) [[unlikely]] {
      FailNestedPush(port);
    }
    pushing_port_ = &port;
    resumed_hold_ = resumed;
  }
  void EndPush() { pushing_port_ = nullptr; }
  [[noreturn]] void FailNestedPush(const OutputPortBase& port);
  OutputPortBase& pushing_port() const { return *pushing_port_; }
  bool is_pushing() const { return pushing_port_ != nullptr; }
  // Keeps a pointstamp for what is being pushed, for a transform that stops in the middle of it.
  OutputPortBase::Hold HoldPushed() const { return pushing_port_->AddHold(resumed_hold_); }
  // Whether the port may send more. A port in a cycle always may, until the cycle has amplified
  // past the limit, which fails the run with ResourceExhausted.
  bool HasCredit(OutputPortBase& port) {
    return port.hold_count == 0 && HasCreditApartFromHolds(port);
  }
  void AddResumable(Resumable* transform) { transform->build_index = resumable_count_++; }
  // Whether a transform that multiplies records may go on sending through the port: there is
  // credit, and none of those downstream of it has stopped.
  bool MayGoOn(OutputPortBase& port, const Resumable& transform);
  // Registers a transform that stopped in the middle of a batch; it is resumed when there is
  // credit.
  void AddStalled(Resumable* transform);

  std::span<SourceControl* const> sources() const { return sources_; }
  // A location of the root scope whose frontier says which epochs are complete in the whole
  // dataflow, for sources.
  ScopeTracker<Epoch>& root() { return root_; }
  LocationId completion() const { return completion_; }
  bool has_completion() const { return !sources_.empty(); }
  // Locations in the root scope where records leave the dataflow are linked to completion() by
  // Finish; nested scopes add their own links here.
  using LinkToCompletion = void (*)(Graph&, void* scope);
  void AddScopeLink(void* scope, LinkToCompletion link) { scope_links_.push_back({scope, link}); }

 private:
  struct Owned {
    void* object;
    void (*destroy)(void*);
  };

  bool Reaches(const std::vector<OutputPortBase*>& ports, const OutputPortBase& loop) const;
  void ResolvePorts();
  bool HasCreditApartFromHolds(OutputPortBase& port) {
    return worker_.credit.PoolHasRoom() || HasCreditWithoutRoom(port);
  }
  // The same while the pool is full.
  bool HasCreditWithoutRoom(OutputPortBase& port);
  [[noreturn]] void FailBuilt(std::string_view step_id);
  void JoinActive();
  void ActivateWatchers();
  bool RunActiveNodes();
  void RunNode(Node& node);
  bool ResumeStalled();
  bool PublishProgress();
  bool Propagate();
  ProgressLayout Layout() const;

  WorkerContext& worker_;
  const uint32_t id_;
  const std::string name_;
  Tracker tracker_;
  ScopeTracker<Epoch>& root_;
  LocationId completion_ = 0;
  bool built_ = false;
  bool active_ = false;  // in the worker's list of graphs to step

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<ChannelBase*> channels_;
  std::vector<CapabilityLedgerBase*> ledgers_;
  std::vector<SourceControl*> sources_;
  std::vector<std::pair<std::string, StateBase*>> states_;
  std::vector<Owned> owned_;
  std::vector<absl::AnyInvocable<void()>> at_end_;
  std::vector<std::pair<void*, LinkToCompletion>> scope_links_;
  absl::flat_hash_set<std::string> step_ids_;
  std::vector<std::string> steps_;  // in order, for the comparison between workers
  struct ConnectedPorts {
    OutputPortBase* loop;
    std::vector<OutputPortBase*> ports;
  };
  std::vector<ConnectedPorts> connected_ports_;  // until Finish
  std::vector<std::string> location_names_;
  std::vector<bool> has_successor_;
  std::vector<std::vector<Node*>> watchers_;  // by location

  std::vector<Node*> ready_;    // nodes that want to run, each at most once; in RunActiveNodes
                                // behind those that ran
  std::vector<Node*> blocked_;  // nodes that wait for credit
  std::vector<Resumable*> stalled_;
  uint32_t resumable_count_ = 0;
  OutputPortBase* pushing_port_ = nullptr;              // null between pushes
  const OutputPortBase::Hold* resumed_hold_ = nullptr;  // of the push; null if it is of a new batch
  bool needs_propagation_ = false;
  std::vector<std::byte> encoded_;  // a round that did not fit the log yet, or scratch
  bool unsent_ = false;             // encoded_ holds a round that peers have not been given
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_H_
