#ifndef HEADWAY_ENGINE_GRAPH_SCOPE_H_
#define HEADWAY_ENGINE_GRAPH_SCOPE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/graph/graph_builder.h"
#include "engine/graph/tee.h"
#include "engine/graph/type_name.h"
#include "progress/product.h"
#include "progress/tracker.h"

namespace headway {

template <class T>
class Scope;
template <class D>
class InputHandle;
template <class D, class T>
class LoopHandle;

namespace internal {

inline void RequireAlive(bool alive, const char* handle) {
  if (alive) return;
  throw CallerError(std::string(handle) +
                    " was used after its dataflow had ended; use it only in the function that "
                    "builds its dataflow");
}

}  // namespace internal

// An operator's typed output, while the graph is built: `D` is the record type, `T` the timestamp
// of its scope. Copies are cheap and mean the same stream; a stream that is used twice gives its
// records to both uses. Valid while its dataflow is being built.
template <class D, class T = Epoch>
class Stream {
 public:
  using Record = D;
  using Time = T;

  // For authors of steps. `ports` are the outputs of nodes from which records reach this stream
  // without passing another node.
  Stream(Scope<T>& scope, internal::Tee<D, T>& tee, LocationId location,
         std::vector<internal::OutputPortBase*> ports)
      : scope_(&scope),
        alive_(scope.graph().objects().alive()),
        tee_(&tee),
        location_(location),
        ports_(std::move(ports)) {}

  // Use of a stream whose dataflow is gone is a FailedPrecondition failure of the build, or of the
  // program, that uses it.
  Scope<T>& scope() const {
    internal::RequireAlive(*alive_, "a Stream");
    return *scope_;
  }
  // Gives the stream's batches to `receiver`, which belongs to the step `full_id`. Records that
  // cannot be copied have one receiver: a second one is an InvalidArgument failure of the build.
  void AddReceiver(std::string_view full_id, internal::Receiver<D, T>& receiver) const;
  LocationId location() const { return location_; }
  const std::vector<internal::OutputPortBase*>& ports() const { return ports_; }
  // Names the stream in a GraphDescription.
  const void* identity() const { return tee_; }

 private:
  Scope<T>* scope_;
  std::shared_ptr<const bool> alive_;  // whether the graph that owns the objects lives
  internal::Tee<D, T>* tee_;
  LocationId location_;
  std::vector<internal::OutputPortBase*> ports_;
};

// stream | Step("id", ...): a step is anything that can be called with a stream. Its result, most
// often a stream or several, is the result of the expression, so a user's own step composes like
// one of the library.
template <class D, class T, class Step>
// NOLINTNEXTLINE(performance-unnecessary-value-param): moved into a step that takes it by value
auto operator|(Stream<D, T> stream, Step&& step) {
  static_assert(std::is_invocable_v<Step, Stream<D, T>>,
                "the right side of | must be a step: something that can be called with a Stream of "
                "this record and time type");
  return std::forward<Step>(step)(std::move(stream));
}

// A subgraph with one timestamp type, while it is being built. The root scope of a dataflow is a
// `Scope<Epoch>`; a nested one refines its parent's time to `Product<T, Inner>`. The function that
// builds a dataflow runs once on each worker, concurrently, and must build the same graph
// everywhere; only the contents of sources may differ. Belongs to its worker's thread.
template <class T = Epoch>
class Scope {
 public:
  Scope(internal::Graph& graph, ScopeTracker<T>& tracker, std::string prefix)
      : graph_(graph), tracker_(tracker), prefix_(std::move(prefix)) {
    graph.builder().describer().AddScope(prefix_, internal::TypeName<T>());
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  int worker_index() const { return graph_.worker().index(); }
  int worker_count() const { return graph_.worker().count(); }

  // A stream of the records of a source; see source.h. Root scope only.
  template <class Source>
  auto Input(std::string_view step_id, Source source);

  // A stream that the host feeds by hand; see input_handle.h. Root scope only.
  template <class D>
  Stream<D, T> Input(InputHandle<D>& handle);

  // The start of a cycle, to be closed with ConnectLoop; each turn advances the time by `summary`.
  // Records whose time would overflow are dropped from the cycle. See iterate.h.
  template <class D>
  std::pair<LoopHandle<D, T>, Stream<D, T>> Feedback(std::string_view step_id,
                                                     typename TimestampTraits<T>::Summary summary);

  // Builds a nested scope whose time counts the rounds of an iteration, and returns what `build`
  // returns. Streams come in with Enter and out with Leave. See iterate.h.
  template <class Build>
  auto Iterate(std::string_view step_id, Build&& build);
  // The same for a nested scope with any inner time.
  template <class Inner, class Build>
  auto Nested(std::string_view step_id, Build&& build);

  // ---- For the authors of steps ----

  internal::Graph& graph() { return graph_; }
  ScopeTracker<T>& tracker() { return tracker_; }
  // The id of a step in errors and stored state: the ids of the steps that it is part of, and its
  // own.
  std::string FullId(std::string_view step_id) const {
    return prefix_.empty() || step_id.empty() ? std::string(step_id)
                                              : prefix_ + "." + std::string(step_id);
  }
  LocationId AddLocation(std::string name) {
    internal::GraphBuilder& builder = graph_.builder();
    LocationId location = tracker_.AddLocation();
    builder.NameLocation(location, std::move(name));
    locations_.push_back(location);
    return location;
  }
  void AddEdge(
      LocationId from, LocationId to,
      const typename TimestampTraits<T>::Summary& summary = TimestampTraits<T>::Identity()) {
    internal::GraphBuilder& builder = graph_.builder();
    tracker_.AddEdge(from, to, summary);
    builder.MarkSuccessor(from);
  }

  // For sources, all places where records leave the dataflow are linked to its end: the places of
  // this scope to the scope's own end, and that end to the parent's.
  void LinkEndToCompletion() {
    end_ = graph_.completion().location();
    graph_.builder().AddScopeLink(this,
                                  [](void* self) { static_cast<Scope*>(self)->LinkPlacesToEnd(); });
  }
  template <class Outer>
  void LinkEndTo(Scope<Outer>& outer) {
    end_ = tracker_.AddLocation();
    graph_.builder().NameLocation(end_, "the end of a nested scope");
    graph_.tracker().AddLeave(tracker_, end_, outer.tracker(), outer.end());
    graph_.builder().AddScopeLink(this,
                                  [](void* self) { static_cast<Scope*>(self)->LinkPlacesToEnd(); });
  }
  LocationId end() const { return end_; }
  // Records in a cycle keep their epoch open even if none leaves the cycle.
  void LinkCycleToEnd(LocationId location) { cycles_.push_back(location); }

  // The steps that are built while it exists are part of the step `step_id`.
  class Substeps {
   public:
    Substeps(Scope& scope, std::string_view step_id) : scope_(scope), saved_(scope.prefix_) {
      scope.prefix_ = scope.FullId(step_id);
    }
    ~Substeps() { scope_.prefix_ = std::move(saved_); }
    Substeps(const Substeps&) = delete;
    Substeps& operator=(const Substeps&) = delete;

   private:
    Scope& scope_;
    std::string saved_;
  };

 private:
  void LinkPlacesToEnd() {
    for (LocationId location : locations_) {
      if (!graph_.builder().HasSuccessor(location)) tracker_.AddEdge(location, end_);
    }
    for (LocationId location : cycles_) tracker_.AddEdge(location, end_);
  }

  internal::Graph& graph_;
  ScopeTracker<T>& tracker_;
  std::string prefix_;
  std::vector<LocationId> locations_;
  std::vector<LocationId> cycles_;
  LocationId end_ = 0;
};

namespace internal {

// A summary in words, for the comparison of graphs: the effect on the first time. `summary` is
// empty if nothing goes along the path.
template <class T>
std::string DescribeSummary(const std::optional<typename TimestampTraits<T>::Summary>& summary) {
  if (!summary.has_value()) return "no path";
  const T first = TimestampTraits<T>::Minimum();
  const std::optional<T> later = TimestampTraits<T>::ResultsIn(first, *summary);
  return "a path that advances time " + TimestampTraits<T>::Format(first) + " to " +
         (later.has_value() ? TimestampTraits<T>::Format(*later) : "none");
}

}  // namespace internal

template <class D, class T>
void Stream<D, T>::AddReceiver(std::string_view full_id, internal::Receiver<D, T>& receiver) const {
  internal::Graph& graph = scope().graph();
  graph.builder(full_id).describer().AddUse(tee_, full_id, internal::TypeName<D>());
  if (!tee_->MayAdd()) {
    graph.errors().FailAndThrow(
        full_id, absl::InvalidArgumentError(
                     "another step takes the records of its stream already, and records of this "
                     "type can only be moved; make them copyable, or use their stream once"));
  }
  tee_->Add(&receiver);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_GRAPH_SCOPE_H_
