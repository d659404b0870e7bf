#ifndef HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_
#define HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/graph/scope.h"

namespace headway {

namespace internal {

// Passes the batches of every stream that it receives to one tee.
template <class D, class T>
class MergeReceiver final : public Receiver<D, T> {
 public:
  explicit MergeReceiver(Endpoint& endpoint) : tee_(endpoint) {}
  void Push(const T& time, Batch<D>&& batch) override { tee_.Push(time, std::move(batch)); }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    tee_.PushWatermark(time, watermark);
  }
  Tee<D, T>& tee() { return tee_; }

 private:
  Tee<D, T> tee_;
};

}  // namespace internal

// Returns one stream with the records of `first` and all of `others`; a stream may occur several
// times. It has a location of its own, and no node: batches pass within the push of their producer.
// A stream of another scope is an InvalidArgument failure of the build.
template <class D, class T>
Stream<D, T> MergeStreams(const Stream<D, T>& first, std::string_view step_id,
                          const std::vector<Stream<D, T>>& others) {
  Scope<T>& scope = first.scope();
  internal::Graph& graph = scope.graph();
  const std::string id = scope.FullId(step_id);
  graph.builder(id).ClaimStepId(id);
  auto& merge =
      graph.objects().template Make<internal::MergeReceiver<D, T>>(graph.worker().endpoint());
  graph.builder().describer().AddStream(&merge.tee(), id);
  const LocationId location = scope.AddLocation("step '" + id + "'");
  std::vector<internal::OutputPortBase*> ports;
  std::unordered_set<internal::OutputPortBase*> known;  // there may be thousands
  auto add = [&](const Stream<D, T>& stream) {
    if (&stream.scope() != &scope) {
      graph.errors().Fail(id, absl::InvalidArgumentError(
                                  "its inputs belong to different scopes; bring a stream into a "
                                  "nested scope with Enter, and out of it with Leave"));
      return;
    }
    scope.AddEdge(stream.location(), location);
    stream.AddReceiver(id, merge);
    for (internal::OutputPortBase* port : stream.ports()) {
      if (known.insert(port).second) ports.push_back(port);
    }
  };
  add(first);
  for (const Stream<D, T>& stream : others) add(stream);
  return Stream<D, T>(scope, merge.tee(), location, std::move(ports));
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_
