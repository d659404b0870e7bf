#ifndef HEADWAY_OPERATORS_MERGE_H_
#define HEADWAY_OPERATORS_MERGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "engine/graph/scope.h"

namespace headway {

namespace internal {

template <class D, class T>
class MergeReceiver final : public Receiver<D, T> {
 public:
  explicit MergeReceiver(Endpoint& endpoint) : tee_(endpoint) {}
  void Push(const T& time, Batch<D>&& batch) override { tee_.Push(time, std::move(batch)); }
  Tee<D, T>& tee() { return tee_; }

 private:
  Tee<D, T> tee_;
};

}  // namespace internal

// One stream of the records of all: `first | Merge("id", second, third)`. Nothing is scheduled for
// it: batches pass through.
template <class D, class T, class... Others>
auto Merge(std::string step_id, const Stream<D, T>& second, const Others&... others) {
  return [=, step_id = std::move(step_id)](const Stream<D, T>& first) {
    Scope<T>& scope = first.scope();
    internal::Graph& graph = scope.graph();
    graph.builder(step_id).ClaimStepId(scope.FullId(step_id));
    auto& merge =
        graph.objects().template Make<internal::MergeReceiver<D, T>>(graph.worker().endpoint);
    graph.builder().description().AddStream(&merge.tee(), scope.FullId(step_id));
    LocationId location = scope.AddLocation("step '" + scope.FullId(step_id) + "'");
    std::vector<internal::OutputPortBase*> ports;
    absl::flat_hash_set<internal::OutputPortBase*> known;  // there may be thousands
    for (const Stream<D, T>& stream : {first, second, Stream<D, T>(others)...}) {
      if (&stream.scope() != &scope) {
        graph.errors().Fail(scope.FullId(step_id),
                            absl::InvalidArgumentError(
                                "its inputs belong to different scopes; bring a stream into a "
                                "nested scope with Enter, and out of it with Leave"));
        continue;
      }
      scope.AddEdge(stream.location(), location);
      stream.AddReceiver(scope.FullId(step_id), merge);
      for (internal::OutputPortBase* port : stream.ports()) {
        if (known.insert(port).second) ports.push_back(port);
      }
    }
    return Stream<D, T>(scope, merge.tee(), location, std::move(ports));
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MERGE_H_
