#ifndef HEADWAY_TESTS_SIM_GRAPH_BUILDER_H_
#define HEADWAY_TESTS_SIM_GRAPH_BUILDER_H_

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/sim/ghost.h"
#include "tests/sim/plan.h"
#include "tests/sim/sim_operator.h"

namespace headway::sim {

// One worker's view of one location. REQUIRES for all methods: its dataflow runs.
class Place {
 public:
  explicit Place(int location) : location_(location) {}
  virtual ~Place() = default;
  virtual void Read(SimFrontier& frontier) const = 0;
  // Returns true iff there is no probe, or the probe agrees with the frontier about `time`.
  virtual bool ProbeAgrees(const SimTime& time, bool may_come) const = 0;
  // Returns true iff there is no probe, or the probe is done. Also after the dataflow has ended.
  virtual bool ProbeIsDone() const = 0;

  int location() const { return location_; }
  SimFrontier last;  // the last result of Read
  bool was_read = false;

 private:
  const int location_;
};

// A dataflow on one worker: its inputs and its places.
struct Installed {
  std::vector<InputHandle<Record>> inputs;
  std::vector<std::unique_ptr<Place>> places;
  internal::Graph* graph = nullptr;  // until the dataflow ends
  bool built = false;
  bool gone = false;  // set when the engine has removed it
};

namespace internal_builder {

template <class T>
class PlaceAt final : public Place {
 public:
  PlaceAt(int location, const Stream<Record, T>& stream, bool with_probe)
      : Place(location), tracker_(stream.scope().tracker()), id_(stream.location()) {
    if (with_probe) stream | Probe(probe_.emplace());
  }
  PlaceAt(int location, ScopeTracker<T>& tracker, LocationId id)
      : Place(location), tracker_(tracker), id_(id) {}

  void Read(SimFrontier& frontier) const override {
    frontier.clear();
    for (const T& time : tracker_.frontier(id_).elements()) {
      frontier.push_back(TimeOf<T>::Read(time));
    }
  }
  bool ProbeAgrees(const SimTime& time, bool may_come) const override {
    return !probe_.has_value() || probe_->LessEqual(TimeOf<T>::Make(time)) == may_come;
  }
  bool ProbeIsDone() const override { return !probe_.has_value() || probe_->Done(); }

 private:
  ScopeTracker<T>& tracker_;
  const LocationId id_;
  std::optional<ProbeHandle<T>> probe_;
};

// Builds the plan's elements one after another, with the steps of the library.
class GraphBuilder {
 public:
  using Time1 = Epoch;
  using Time2 = Product<Time1, uint64_t>;
  using Time3 = Product<Time2, uint64_t>;

  GraphBuilder(const OperatorContext& context, Installed& installed, Scope<>& root)
      : context_(context), plan_(context.plan), installed_(installed) {
    scopes_.resize(plan_.scopes.size());
    streams_.resize(plan_.streams.size());
    loops_.resize(plan_.elements.size());
    std::get<Scope<Time1>*>(scopes_[0]) = &root;
    struct Sentinel {
      explicit Sentinel(Installed& i) : installed(i) {}
      ~Sentinel() { installed.gone = true; }
      Installed& installed;
    };
    installed.graph = &root.graph();
    root.graph().objects().Make<Sentinel>(installed);
    installed.inputs.resize(plan_.input_streams.size());
  }

  void Build() {
    for (const Element& element : plan_.elements) {
      switch (plan_.scopes[element.scope].depth) {
        case 1:
          BuildElement<Time1>(element);
          break;
        case 2:
          BuildElement<Time2>(element);
          break;
        default:
          BuildElement<Time3>(element);
          break;
      }
    }
    installed_.built = true;
  }

 private:
  template <class T>
  Scope<T>& ScopeAt(int scope) {
    return *std::get<Scope<T>*>(scopes_[scope]);
  }
  template <class T>
  const Stream<Record, T>& StreamAt(int stream) {
    return *std::get<std::optional<Stream<Record, T>>>(streams_[stream]);
  }
  template <class T>
  void SetStream(int number, const Stream<Record, T>& stream) {
    std::get<std::optional<Stream<Record, T>>>(streams_[number]) = stream;
    installed_.places.push_back(
        std::make_unique<PlaceAt<T>>(plan_.streams[number].location, stream, number % 3 == 0));
  }
  std::string NextId() { return "step-" + std::to_string(step_count_++); }

  template <class T>
  void BuildElement(const Element& element) {
    const auto set = [&](const Stream<Record, T>& stream) { SetStream<T>(element.out[0], stream); };
    const auto in = [&](size_t i = 0) { return StreamAt<T>(element.in[i]); };
    switch (element.kind) {
      case Kind::kInput:
        if constexpr (std::is_same_v<T, Time1>) {
          set(ScopeAt<T>(0).Input(installed_.inputs[element.index]));
        }
        break;
      case Kind::kOperator:
        BuildOperator<T>(element);
        break;
      case Kind::kMap:
        set(in() | Map(NextId(), MapRecord));
        break;
      case Kind::kFilter:
        set(in() | Filter(NextId(), FilterRecord));
        break;
      case Kind::kFlatMap:
        set(in() | FlatMap(NextId(), FlatMapRecord));
        break;
      case Kind::kExchange:
        set(in() | Exchange(NextId(), [](const Record& record) { return record.key; }));
        break;
      case Kind::kMerge:
        set(in(0) | Merge(NextId(), in(1)));
        break;
      case Kind::kOpenScope:
        if constexpr (!std::is_same_v<T, Time1>) OpenScope(element, T{});
        break;
      case Kind::kEnter:
        if constexpr (!std::is_same_v<T, Time1>) EnterScope(element, T{});
        break;
      case Kind::kLeave:
        if constexpr (!std::is_same_v<T, Time3>) {
          set(StreamAt<Product<T, uint64_t>>(element.in[0]) | Leave(ScopeAt<T>(element.scope)));
        }
        break;
      case Kind::kFeedback: {
        auto [loop, stream] =
            ScopeAt<T>(element.scope)
                .template Feedback<Record>(NextId(), MakeSummary<T>(element.summary));
        std::get<std::optional<LoopHandle<Record, T>>>(loops_[element.index])
            .emplace(std::move(loop));
        set(stream);
        break;
      }
      case Kind::kConnectLoop:
        in() | ConnectLoop(*std::get<std::optional<LoopHandle<Record, T>>>(loops_[element.index]));
        break;
    }
  }

  template <class Outer>
  void OpenScope(const Element& element, const Product<Outer, uint64_t>&) {
    using Inner = Product<Outer, uint64_t>;
    ScopeAt<Outer>(plan_.scopes[element.scope].parent).Iterate(NextId(), [&](Scope<Inner>& inner) {
      std::get<Scope<Inner>*>(scopes_[element.scope]) = &inner;
    });
  }

  template <class Outer>
  void EnterScope(const Element& element, const Product<Outer, uint64_t>&) {
    using Inner = Product<Outer, uint64_t>;
    SetStream<Inner>(element.out[0],
                     StreamAt<Outer>(element.in[0]) | Enter(ScopeAt<Inner>(element.scope)));
  }

  template <class T>
  void BuildOperator(const Element& element) {
    const OperatorPlan& op = plan_.operators[element.index];
    Scope<T>& scope = ScopeAt<T>(element.scope);
    OperatorBuilder<T> builder(scope, NextId());
    std::vector<NodeInput<Record, T>*> inputs;
    std::vector<NodeOutput<Record, T>*> outputs;
    for (size_t i = 0; i < element.in.size(); ++i) {
      inputs.push_back(&AddInput<T>(builder, StreamAt<T>(element.in[i]), op.pacts[i]));
      installed_.places.push_back(std::make_unique<PlaceAt<T>>(
          op.input_locations[i], scope.tracker(), inputs.back()->location));
      if (!op.watches[i]) builder.IgnoreFrontier(i);
    }
    for (size_t o = 0; o < element.out.size(); ++o) {
      outputs.push_back(&builder.template AddOutput<Record>());
      for (size_t i = 0; i < element.in.size(); ++i) {
        if (op.summaries[i][o] == SimTime{}) continue;
        builder.SetSummary(i, o,
                           op.summaries[i][o].has_value()
                               ? std::optional(MakeSummary<T>(*op.summaries[i][o]))
                               : std::nullopt);
      }
    }
    auto node = std::make_unique<SimOperator<T>>(context_, element.index, builder,
                                                 std::move(inputs), outputs);
    if (op.starts_with_capabilities) {
      builder.Build([&](std::vector<Capability<T>> first) {
        node->Start(std::move(first));
        return [node = std::move(node)] { node->Run(); };
      });
    } else {
      builder.BuildWithoutCapabilities([node = std::move(node)] { node->Run(); });
    }
    for (size_t o = 0; o < element.out.size(); ++o) {
      SetStream<T>(element.out[o], builder.StreamOf(*outputs[o]));
    }
  }

  template <class T>
  NodeInput<Record, T>& AddInput(OperatorBuilder<T>& builder, const Stream<Record, T>& stream,
                                 PactKind kind) {
    switch (kind) {
      case PactKind::kExchange:
        return builder.AddInput(stream,
                                pact::Exchange{[](const Record& record) { return record.key; }});
      case PactKind::kBroadcast:
        return builder.AddInput(stream, pact::Broadcast{});
      case PactKind::kGather:
        return builder.AddInput(stream, pact::Gather{});
      default:
        return builder.AddInput(stream, pact::Pipeline{});
    }
  }

  // One value for each depth. Each scope, stream or loop uses the one of its depth.
  template <template <class> class X>
  using PerDepth = std::tuple<X<Time1>, X<Time2>, X<Time3>>;
  template <class T>
  using ScopePointer = Scope<T>*;
  template <class T>
  using OptionalStream = std::optional<Stream<Record, T>>;
  template <class T>
  using OptionalLoop = std::optional<LoopHandle<Record, T>>;

  OperatorContext context_;
  const Plan& plan_;
  Installed& installed_;
  std::vector<PerDepth<ScopePointer>> scopes_;
  std::vector<PerDepth<OptionalStream>> streams_;
  std::vector<PerDepth<OptionalLoop>> loops_;
  int step_count_ = 0;
};

}  // namespace internal_builder

// Builds the plan on one worker.
inline void BuildPlan(const OperatorContext& context, Installed& installed, Scope<>& root) {
  internal_builder::GraphBuilder(context, installed, root).Build();
}

}  // namespace headway::sim

#endif  // HEADWAY_TESTS_SIM_GRAPH_BUILDER_H_
