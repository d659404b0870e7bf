#ifndef HEADWAY_ENGINE_STEP_ITERATE_H_
#define HEADWAY_ENGINE_STEP_ITERATE_H_

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/channel.h"
#include "engine/graph/scope.h"
#include "engine/step/node_io.h"

// Cycles and nested scopes. Feedback opens a cycle and ConnectLoop closes it, in the same scope.
// Each turn advances the time by the summary; a summary that does not advance it fails the build. A
// nested scope adds a coordinate to the time: a stream enters at its minimum, and leaves without
// it.

namespace headway {

namespace internal {

// Closes a cycle: sends batches to `next` at the time of the next turn, and drops those whose time
// would overflow. If the cycle contains a node, `next` is the start of the cycle. Otherwise it is
// the queue of a node of the cycle's own, so that a turn does not run inside of the previous one.
//
// A cycle has one location; queued batches are counted there at their later time.
template <class D, class T>
class LoopReceiver final : public Receiver<D, T> {
 public:
  LoopReceiver(Receiver<D, T>* next, typename TimestampTraits<T>::Summary summary)
      : next_(next), summary_(std::move(summary)) {}

  void Push(const T& time, Batch<D>&& batch) override {
    const std::optional<T> later = TimestampTraits<T>::ResultsIn(time, summary_);
    if (later.has_value()) next_->Push(*later, std::move(batch));
  }
  // The watermark of a cycle would wait for itself.
  void PushWatermark(const T&, const Watermark&) override {}

 private:
  Receiver<D, T>* next_;
  const typename TimestampTraits<T>::Summary summary_;
};

// Sends batches to a tee.
template <class D, class T>
class TeeReceiver final : public Receiver<D, T> {
 public:
  explicit TeeReceiver(Tee<D, T>& tee) : tee_(tee) {}
  void Push(const T& time, Batch<D>&& batch) override { tee_.Push(time, std::move(batch)); }
  void PushWatermark(const T& time, const Watermark& watermark) override {
    tee_.PushWatermark(time, watermark);
  }

 private:
  Tee<D, T>& tee_;
};

}  // namespace internal

// The open end of a cycle. Copies mean the same cycle. Valid while its dataflow is being built.
template <class D, class T = Epoch>
class LoopHandle {
 public:
  // Made by Scope::Feedback: `output` is the port of the cycle's own node.
  LoopHandle(Scope<T>& scope, internal::Node& node, NodeOutput<D, T>& output,
             typename TimestampTraits<T>::Summary summary)
      : scope_(scope),
        alive_(scope.graph().objects().alive()),
        node_(node),
        output_(output),
        summary_(std::move(summary)) {}

  // Closes the cycle with `stream`. A second call, and a stream of another scope, are
  // InvalidArgument failures of the build.
  void Connect(const Stream<D, T>& stream) {
    internal::RequireAlive(*alive_, "a LoopHandle");
    Scope<T>& scope = stream.scope();
    internal::Graph& graph = scope.graph();
    if (std::exchange(*connected_, true)) {
      graph.errors().FailAndThrow(
          node_.step_id(),
          absl::InvalidArgumentError("the cycle is closed twice; merge the streams before"));
    }
    if (&scope != &scope_) {
      graph.errors().FailAndThrow(
          node_.step_id(),
          absl::InvalidArgumentError(
              "the stream that closes the cycle and its beginning belong to "
              "different scopes; bring "
              "a stream into a nested scope with Enter, and out of it with Leave"));
    }
    scope.AddEdge(stream.location(), output_.location, summary_);
    scope.LinkCycleToEnd(output_.location);
    internal::Receiver<D, T>* next;
    if (graph.builder().ConnectPorts(output_, stream.ports())) {
      next = &graph.objects().template Make<internal::TeeReceiver<D, T>>(output_.tee());
    } else {
      next = &Queue(stream);
    }
    stream.AddReceiver(node_.step_id(),
                       graph.objects().template Make<internal::LoopReceiver<D, T>>(next, summary_));
  }

 private:
  internal::Channel<D, T>& Queue(const Stream<D, T>& stream) {
    internal::Graph& graph = stream.scope().graph();
    auto& input =
        graph.objects().template Make<NodeInput<D, T>>(graph, node_, stream.scope().tracker());
    input.location = output_.location;
    input.watches_frontier = false;
    node_.inputs.push_back(&input);
    auto& channel =
        internal::MakeChannel<D, T>(pact::Pipeline{}, graph, input, stream.scope().tracker());
    graph.builder().AddChannel(channel);
    for (internal::OutputPortBase* port : stream.ports()) port->channels.push_back(&channel);
    node_.logic = [&input, &output = output_] {
      input.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
        output.SessionAtTime(time.time()).GiveBatch(std::move(batch));
      });
    };
    return channel;
  }

  Scope<T>& scope_;
  std::shared_ptr<const bool> alive_;  // whether the graph that owns the objects lives
  internal::Node& node_;
  NodeOutput<D, T>& output_;
  typename TimestampTraits<T>::Summary summary_;
  std::shared_ptr<bool> connected_ = std::make_shared<bool>(false);
};

// stream | ConnectLoop(handle) closes the cycle that Scope::Feedback opened.
template <class D, class T>
auto ConnectLoop(LoopHandle<D, T>& handle) {
  return [&handle](const Stream<D, T>& stream) { handle.Connect(stream); };
}

template <class T>
template <class D>
std::pair<LoopHandle<D, T>, Stream<D, T>> Scope<T>::Feedback(
    std::string_view step_id, typename TimestampTraits<T>::Summary summary) {
  internal::Node& node = graph_.builder().AddNode(FullId(step_id));
  auto& output = graph_.objects().template Make<NodeOutput<D, T>>(graph_, node, tracker_);
  output.location = AddLocation("the cycle '" + node.step_id() + "'");
  node.outputs.push_back(&output);
  node.logic = [] {};
  graph_.builder().describer().AddSummary(node.step_id(), internal::DescribeSummary<T>(summary));
  graph_.builder().describer().AddStream(&output.tee(), node.step_id());
  return {LoopHandle<D, T>(*this, node, output, std::move(summary)),
          Stream<D, T>(*this, output.tee(), output.location, {&output})};
}

namespace internal {

// Sends batches with another time.
template <class D, class From, class To, class Convert>
class TimeChange final : public Receiver<D, From> {
 public:
  TimeChange(Endpoint& endpoint, Convert convert) : convert_(convert), tee_(endpoint) {}
  void Push(const From& time, Batch<D>&& batch) override {
    tee_.Push(convert_(time), std::move(batch));
  }
  void PushWatermark(const From& time, const Watermark& watermark) override {
    tee_.PushWatermark(convert_(time), watermark);
  }
  Tee<D, To>& tee() { return tee_; }

 private:
  Convert convert_;
  Tee<D, To> tee_;
};

template <class To, class D, class From, class Convert>
Stream<D, To> ChangeTime(const Stream<D, From>& stream, std::string_view full_id, Scope<To>& scope,
                         LocationId location, Convert convert) {
  Graph& graph = scope.graph();
  auto& change =
      graph.objects().Make<TimeChange<D, From, To, Convert>>(graph.worker().endpoint(), convert);
  stream.AddReceiver(full_id, change);
  graph.builder().MarkSuccessor(stream.location());
  graph.builder().describer().AddAlias(&change.tee(), stream.identity());
  return Stream<D, To>(scope, change.tee(), location, stream.ports());
}

}  // namespace internal

// stream | Enter(inner): the stream in a nested scope, at the minimum of the inner time. A stream
// that is not in the parent of `inner` is an InvalidArgument failure of the build.
template <class T, class Inner>
auto Enter(Scope<Product<T, Inner>>& inner) {
  return [&inner]<class D>(const Stream<D, T>& stream) {
    using InnerTime = Product<T, Inner>;
    if (inner.tracker().parent() != &stream.scope().tracker()) {
      inner.graph().errors().FailAndThrow(
          "", absl::InvalidArgumentError("Enter: the stream does not belong to the scope that the "
                                         "nested scope is in; enter scope by scope"));
    }
    LocationId location = inner.AddLocation("the entrance of a nested scope");
    inner.graph().tracker().AddEnter(stream.scope().tracker(), stream.location(), inner.tracker(),
                                     location);
    return internal::ChangeTime<InnerTime>(
        stream, inner.FullId("Enter"), inner, location,
        [](const T& time) { return InnerTime{time, TimestampTraits<Inner>::Minimum()}; });
  };
}

// inner_stream | Leave(outer): the stream in the parent scope, at the outer part of its times. A
// stream whose scope is not nested in `outer` is an InvalidArgument failure of the build.
template <class T>
auto Leave(Scope<T>& outer) {
  return [&outer]<class D, class Inner>(const Stream<D, Product<T, Inner>>& stream) {
    if (stream.scope().tracker().parent() != &outer.tracker()) {
      outer.graph().errors().FailAndThrow(
          "", absl::InvalidArgumentError("Leave: the stream's scope is not nested in the scope "
                                         "that it leaves to; leave scope by scope"));
    }
    LocationId location = outer.AddLocation("the exit of a nested scope");
    outer.graph().tracker().AddLeave(stream.scope().tracker(), stream.location(), outer.tracker(),
                                     location);
    return internal::ChangeTime<T>(stream, stream.scope().FullId("Leave"), outer, location,
                                   [](const Product<T, Inner>& time) { return time.outer; });
  };
}

template <class T>
template <class Inner, class Build>
auto Scope<T>::Nested(std::string_view step_id, Build&& build) {
  using InnerTime = Product<T, Inner>;
  graph_.builder().ClaimStepId(FullId(step_id));
  auto& inner = graph_.objects().template Make<Scope<InnerTime>>(
      graph_, graph_.tracker().template AddScope<InnerTime>(), FullId(step_id));
  inner.LinkEndTo(*this);
  return std::forward<Build>(build)(inner);
}

template <class T>
template <class Build>
auto Scope<T>::Iterate(std::string_view step_id, Build&& build) {
  return Nested<uint64_t>(step_id, std::forward<Build>(build));
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_ITERATE_H_
