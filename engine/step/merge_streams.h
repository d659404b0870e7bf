#ifndef HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_
#define HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/graph/scope.h"

namespace headway {

namespace internal {

// Passes the batches of every stream that it receives to one tee. An output port may be behind
// several of the streams, with a watermark in each: the least of them is passed on.
template <class D, class T>
class MergeReceiver {
 public:
  explicit MergeReceiver(Endpoint& endpoint) : tee_(endpoint) {}

  // Receives one of the streams.
  class Input final : public Receiver<D, T> {
   public:
    explicit Input(MergeReceiver& merge) : merge_(merge) {}
    void Push(const T& time, Batch<D>&& batch) override {
      merge_.tee_.Push(time, std::move(batch));
    }
    void PushWatermark(const T& time, const Watermark& watermark) override {
      merge_.PushWatermark(*this, time, watermark);
    }

   private:
    MergeReceiver& merge_;
  };

  // Returns true if the port was not behind another input before.
  bool AddPort(const OutputPortBase* port, const Input& input) {
    std::vector<OfInput>& of_port = ports_[port];
    of_port.push_back({.input = &input, .latest = std::nullopt});
    return of_port.size() == 1;
  }
  Tee<D, T>& tee() { return tee_; }

 private:
  struct OfInput {
    const Input* input;
    std::optional<Watermark> latest;
  };

  void PushWatermark(const Input& input, const T& time, const Watermark& watermark) {
    std::vector<OfInput>& of_port = ports_.find(watermark.port)->second;
    if (of_port.size() == 1) {
      tee_.PushWatermark(time, watermark);
      return;
    }
    std::ranges::find(of_port, &input, &OfInput::input)->latest = watermark;
    Watermark least = watermark;  // of the active inputs; the greatest of all if none is active
    least.active = false;
    least.time = kNoWatermark;
    for (const OfInput& each : of_port) {
      if (!each.latest.has_value()) return;
      const EventTime of_input = each.latest->time;
      if (each.latest->active && !least.active) {
        least.active = true;
        least.time = of_input;
      } else if (each.latest->active == least.active) {
        least.time = least.active ? std::min(least.time, of_input) : std::max(least.time, of_input);
      }
    }
    tee_.PushWatermark(time, least);
  }

  Tee<D, T> tee_;
  std::unordered_map<const OutputPortBase*, std::vector<OfInput>> ports_;
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
  auto add = [&](const Stream<D, T>& stream) {
    if (&stream.scope() != &scope) {
      graph.errors().Fail(id, absl::InvalidArgumentError(
                                  "its inputs belong to different scopes; bring a stream into a "
                                  "nested scope with Enter, and out of it with Leave"));
      return;
    }
    scope.AddEdge(stream.location(), location);
    auto& input =
        graph.objects().template Make<typename internal::MergeReceiver<D, T>::Input>(merge);
    stream.AddReceiver(id, input);
    for (internal::OutputPortBase* port : stream.ports()) {
      if (merge.AddPort(port, input)) ports.push_back(port);
    }
  };
  add(first);
  for (const Stream<D, T>& stream : others) add(stream);
  return Stream<D, T>(scope, merge.tee(), location, std::move(ports));
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_MERGE_STREAMS_H_
