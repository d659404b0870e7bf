#ifndef HEADWAY_ENGINE_STEP_OPERATOR_BUILDER_H_
#define HEADWAY_ENGINE_STEP_OPERATOR_BUILDER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/graph/capability.h"
#include "engine/graph/exchange_channel.h"
#include "engine/graph/graph.h"
#include "engine/graph/scope.h"
#include "engine/runtime/concat.h"
#include "engine/state/keyed_state.h"
#include "engine/step/activator.h"
#include "engine/step/epoch_inputs.h"
#include "engine/step/epoch_participant.h"
#include "engine/step/node_io.h"
#include "engine/step/replicated_state.h"
#include "engine/step/routed_state.h"
#include "engine/step/step_context.h"
#include "engine/step/worker_state.h"

namespace headway {

namespace internal {

// Joins a stream to a channel. The channel's buffers, if it has any, are flushed with the ports
// that the records come from.
template <class D, class T>
void ConnectChannel(const Stream<D, T>& stream, Channel<D, T>& channel) {
  stream.AddReceiver(channel.target().node().step_id(), channel);
  for (OutputPortBase* port : stream.ports()) {
    if (channel.KeepsRecords()) port->buffers.push_back(&channel);
    port->channels.push_back(&channel);
    channel.AddPort(*port);
  }
}

}  // namespace internal

// Builds an operator (a node of the graph: scheduled and tracked) with any number of inputs and
// outputs. Source: timely dataflow.
//
//   OperatorBuilder<T> builder(stream.scope(), "step_id");
//   NodeInput<A, T>& left = builder.AddInput(stream, pact::Pipeline{});
//   NodeInput<B, T>& right = builder.AddInput(other, pact::Exchange{key});
//   NodeOutput<C, T>& output = builder.AddOutput<C>();
//   builder.Build([&](std::vector<Capability<T>> capabilities) {
//     return [&left, &right, &output, held = std::move(capabilities[0])]() mutable { ... };
//   });
//   return builder.StreamOf(output);
//
// The constructor that Build takes receives one capability at the first time for each output, and
// returns the logic. The logic runs each time the operator is scheduled: after a batch arrived, the
// frontier of a watched input changed, or an activator asked for it. References to inputs and
// outputs live as long as the dataflow. A second Build, a port that is added later, and a number of
// a port that does not exist are InvalidArgument failures of the build.
template <class T>
class OperatorBuilder {
 public:
  using Summary = typename TimestampTraits<T>::Summary;

  OperatorBuilder(Scope<T>& scope, std::string_view step_id)
      : scope_(scope),
        graph_(scope.graph()),
        node_(graph_.builder(step_id).AddNode(scope.FullId(step_id))) {}

  OperatorBuilder(const OperatorBuilder&) = delete;
  OperatorBuilder& operator=(const OperatorBuilder&) = delete;

  template <class D, class Pact>
  NodeInput<D, T>& AddInput(const Stream<D, T>& stream, Pact pact) {
    static_assert(internal::kIsPact<Pact>,
                  "AddInput: the pact must be pact::Pipeline{}, pact::Exchange{key}, "
                  "pact::Broadcast{}, pact::Gather{} or pact::RoundRobin{}");
    auto& input = MakeInput<D>();
    auto& channel = internal::MakeChannel<D, T>(std::move(pact), graph_, input, scope_.tracker());
    graph_.builder().AddChannel(channel);
    graph_.builder().describer().AddInput(
        node_.step_id(),
        {internal::TypeName<D>(), internal::TypeName<T>(), internal::TypeName<Pact>()});
    CheckScope(stream);
    if (&stream.scope().graph() == &graph_ && &stream.scope().tracker() == &scope_.tracker()) {
      scope_.AddEdge(stream.location(), input.location);
      internal::ConnectChannel(stream, channel);
    }
    return input;
  }

  // An input without records. Its frontier passes a time when those of all `locations` of the scope
  // have passed it.
  template <class D>
  NodeInput<D, T>& AddFrontierInput(const std::vector<LocationId>& locations) {
    auto& input = MakeInput<D>();
    for (LocationId from : locations) scope_.AddEdge(from, input.location);
    return input;
  }

  template <class D>
  NodeOutput<D, T>& AddOutput() {
    return AddOutputAtLocation<D>(scope_.AddLocation(PortName("output ", node_.outputs.size())));
  }

  // An output for an operator that does nothing but send at the times of the batches of `input`,
  // and retains nothing: it needs no location of its own, which saves the progress protocol a step.
  template <class D>
  NodeOutput<D, T>& AddOutputAt(const internal::InputPortBase& input) {
    return AddOutputAtLocation<D>(input.location);
  }

  // How times at an input appear at an output: unchanged unless said otherwise; nullopt says that
  // nothing goes from there to there.
  void SetSummary(size_t input, size_t output, std::optional<Summary> summary) {
    RequireNotBuilt();
    RequirePort(input, node_.inputs.size(), "input");
    RequirePort(output, node_.outputs.size(), "output");
    graph_.builder().describer().AddSummary(
        node_.step_id(),
        internal::Concat({internal::DescribeSummary<T>(summary), " from input ",
                          std::to_string(input), " to output ", std::to_string(output)}));
    summaries_.push_back({input, output, std::move(summary)});
  }

  // The operator does not look at this input's frontier: a change of it does not activate it.
  void IgnoreFrontier(size_t input) {
    RequireNotBuilt();
    RequirePort(input, node_.inputs.size(), "input");
    node_.inputs[input]->watches_frontier = false;
  }

  // Ends the build with an operator that starts with a capability for each output.
  template <class Constructor>
  void Build(Constructor&& constructor) {
    static_assert(std::is_invocable_v<Constructor, std::vector<Capability<T>>>,
                  "OperatorBuilder::Build: the constructor must take std::vector<Capability<T>>, "
                  "one for each output, and return the logic, a function without arguments");
    RequireNotBuilt();
    std::vector<Capability<T>> capabilities;
    for (size_t i = 0; i < ledgers_.size(); ++i) capabilities.push_back(InitialCapability(i));
    Connect();
    // In epoch order there is one more output by now.
    if (capabilities.size() < ledgers_.size())
      epochs_->HoldFirst(InitialCapability(ledgers_.size() - 1));
    graph_.errors().Guard(node_.step_id(), [&] {
      node_.logic = std::forward<Constructor>(constructor)(std::move(capabilities));
    });
    graph_.queue().Activate(node_);
  }

  // The same for an operator that sends only at the times of batches that it receives: it starts
  // without capabilities, and costs the progress protocol nothing at the start.
  template <class Logic>
  void BuildWithoutCapabilities(Logic&& logic) {
    static_assert(std::is_invocable_v<std::decay_t<Logic>&>,
                  "OperatorBuilder::BuildWithoutCapabilities: the logic must be a function without "
                  "arguments");
    RequireNotBuilt();
    Connect();
    node_.logic = std::forward<Logic>(logic);
  }

  // The stream of an output.
  template <class D>
  Stream<D, T> StreamOf(NodeOutput<D, T>& output) {
    return Stream<D, T>(scope_, output.tee(), output.location, {&output});
  }

  // Reads the inputs in the order of epochs, and closes epochs. An operator with AddState or
  // AddWorkerState needs it: otherwise the build fails with InvalidArgument. With epoch order the
  // operator watches the frontiers of all inputs.
  EpochInputs<T>& OrderEpochs() {
    RequireNotBuilt();
    if (epochs_ == nullptr) {
      epochs_ = &graph_.objects().Make<EpochInputs<T>>(graph_, node_, scope_.tracker());
    }
    return *epochs_;
  }

  // State under keys, which recovery stores under this step's id. All records that change the state
  // of a key have to come to one worker: the inputs are exchanged by the key. An operator with
  // several states gives each a name of its own, which is appended to the id. Lives as long as the
  // dataflow.
  template <class K, class S>
  KeyedState<K, S>& AddState(std::string_view name = {}) {
    return AddState<K, S>(std::identity(), name);
  }
  // The same for inputs that are exchanged otherwise. For each record that changes the state of
  // `key`, route(key) equals the value of the exchange's function. It receives keys of type
  // std::string as std::string_view. A route that returns WorkerIndex{i} says that the key is one
  // of worker `i`, whichever records that gets; a run with W workers restores it on worker i % W.
  template <class K, class S, class Route>
    requires(!std::is_convertible_v<Route, std::string_view>)
  KeyedState<K, S>& AddState(Route route, std::string_view name = {}) {
    static_assert(std::is_invocable_v<Route&, typename KeyedState<K, S>::KeyView>,
                  "AddState: the route must take a key, a std::string as std::string_view, and "
                  "return the value by which its records are exchanged");
    auto& state = graph_.objects().Make<internal::RoutedState<K, S, Route>>(
        StateId(name), std::move(route), graph_.worker().index(), graph_.worker().count());
    KeepState(state, [] {});
    return state.states();
  }

  // State under keys that each worker has as a whole: a table that all workers receive by
  // pact::Broadcast. The workers have to agree on it at the end of each epoch. A snapshot has each
  // entry once, and any number of workers restore it.
  template <class K, class S>
  KeyedState<K, S>& AddReplicatedState(std::string_view name = {}) {
    auto& state = graph_.objects().Make<internal::ReplicatedState<K, S>>(
        StateId(name), graph_.worker().index(), graph_.worker().count());
    KeepState(state, [] {});
    return state.states();
  }

  // State that is under no key: one S for each worker. When the number of workers has changed since
  // it was stored, a worker may restore the states of several: merge(S& into, S&& other) combines
  // two. A worker that is new starts with S{}.
  template <class S, class Merge>
  WorkerState<S>& AddWorkerState(Merge merge, std::string_view name = {}) {
    static_assert(std::is_invocable_v<Merge&, S&, S&&>,
                  "AddWorkerState: the function must take (S& into, S&& other)");
    auto& state = graph_.objects().Make<internal::WorkerStateNode<S>>(
        StateId(name), graph_.worker().index(), graph_.worker().count(), std::move(merge));
    KeepState(state, [&state] { state.Resume(); });
    return state.state();
  }

  // Registers a node that takes part in the ends of epochs. It holds a capability of output `ends`
  // at an epoch until it has closed it. `start` is called when the dataflow has been built:
  // whatever is restored, is restored by then.
  void AddParticipant(EpochParticipant& participant, size_t ends,
                      absl::AnyInvocable<void()> start) {
    RequirePort(ends, node_.outputs.size(), "output");
    if constexpr (std::is_same_v<T, Epoch>) participant.SetEnds(node_.outputs[ends]->location);
    Register(participant, std::move(start));
  }

  // Activates the operator although no batch arrived and no frontier changed.
  Activator activator() {
    node_.may_be_woken = true;
    return Activator(graph_, node_);
  }

  // The place of the operator in the run.
  StepContext context() {
    node_.may_be_woken = true;  // the context has an activator
    return internal::ContextOf(graph_, node_);
  }

  // Fails the build with InvalidArgument if Build or BuildWithoutCapabilities was called.
  void RequireNotBuilt() {
    if (built_) FailBuild("the operator is built already; its OperatorBuilder builds one operator");
  }

  internal::Node& node() { return node_; }
  internal::Graph& graph() { return graph_; }

 private:
  struct GivenSummary {
    size_t input;
    size_t output;
    std::optional<Summary> summary;
  };

  std::string PortName(std::string_view kind, size_t number) const {
    return internal::Concat({kind, std::to_string(number), " of step '", node_.step_id(), "'"});
  }
  struct State {
    EpochParticipant* participant;
    absl::AnyInvocable<void()> start;
  };
  using ToOutput = internal::InputToOutput<T>;
  // Gives an input, of any record type, the outputs.
  struct ConnectInput {
    void* input;
    void (*connect)(void* input, std::vector<ToOutput> outputs);
  };

  Capability<T> InitialCapability(size_t output) {
    const T first =
        internal::FirstTimeOf<T>::At(graph_.worker().attempt().resume_point().first_epoch);
    scope_.tracker().AddInitial(node_.outputs[output]->location, first, scope_.worker_count());
    return internal::CapabilityFactory::Adopt(*ledgers_[output], first);
  }

  void RequirePort(size_t port, size_t count, const char* kind) {
    if (port < count) return;
    FailBuild(internal::Concat({"its OperatorBuilder refers to ", kind, " ", std::to_string(port),
                                ", but has ", std::to_string(count), "; add it before"}));
  }
  [[noreturn]] void FailBuild(const std::string& message) {
    graph_.errors().FailAndThrow(node_.step_id(), absl::InvalidArgumentError(message));
  }

  template <class D>
  NodeInput<D, T>& MakeInput() {
    RequireNotBuilt();
    auto& input = graph_.objects().Make<NodeInput<D, T>>(graph_, node_, scope_.tracker());
    input.location = scope_.AddLocation(PortName("input ", node_.inputs.size()));
    node_.inputs.push_back(&input);
    connect_inputs_.push_back({&input, [](void* of_d, std::vector<ToOutput> outputs) {
                                 static_cast<NodeInput<D, T>*>(of_d)->SetOutputs(
                                     std::move(outputs));
                               }});
    return input;
  }

  template <class D>
  NodeOutput<D, T>& AddOutputAtLocation(LocationId location) {
    RequireNotBuilt();
    auto& output = graph_.objects().Make<NodeOutput<D, T>>(graph_, node_, scope_.tracker());
    output.location = location;
    auto* ledger =
        new internal::CapabilityLedger<T>(&graph_, &node_, output.location, &scope_.tracker());
    graph_.builder().AddLedger(*ledger);
    graph_.builder().describer().AddStream(&output.tee(), node_.step_id());
    output.set_ledger(ledger);
    node_.outputs.push_back(&output);
    ledgers_.push_back(ledger);
    return output;
  }

  template <class D>
  void CheckScope(const Stream<D, T>& stream) {
    if (&stream.scope().graph() == &graph_ && &stream.scope().tracker() == &scope_.tracker())
      return;
    graph_.errors().Fail(
        node_.step_id(),
        absl::InvalidArgumentError(
            "its inputs belong to different scopes; bring a stream into a nested scope with "
            "Enter, and out of it with Leave"));
  }

  void Register(EpochParticipant& participant, absl::AnyInvocable<void()> start) {
    for (const EpochParticipant* other : graph_.parts().participants) {
      if (other->step_id() != participant.step_id()) continue;
      FailBuild(
          internal::Concat({"two states would be stored under the id '", participant.step_id(),
                            "'; give each state of an operator a name of its own"}));
    }
    graph_.builder().AddParticipant(participant);
    graph_.builder().AtStart(node_.step_id(), std::move(start));
  }

  std::string StateId(std::string_view name) const {
    return name.empty() ? node_.step_id() : internal::Concat({node_.step_id(), ".", name});
  }

  // `start` is called when the dataflow has been built, and the state restored.
  void KeepState(EpochParticipant& state, absl::AnyInvocable<void()> start) {
    RequireNotBuilt();
    states_.push_back({&state, std::move(start)});
  }

  void ConnectStates() {
    if (epochs_ == nullptr) {
      if (states_.empty()) return;
      FailBuild(
          "it has state, and does not say when an epoch is over; read its inputs through "
          "OperatorBuilder::OrderEpochs, and call CloseEnded at the end of its logic");
    }
    const bool in_order = graph_.worker().run().options().apply_in_epoch_order;
    const size_t ends = node_.outputs.size();
    if (in_order) {
      // No record leaves through this output: its capabilities keep epochs open.
      AddOutput<char>();
      for (internal::InputPortBase* input : node_.inputs) input->watches_frontier = true;
      std::vector<EpochParticipant*> participants;
      for (const State& state : states_) participants.push_back(state.participant);
      epochs_->Start(ends, std::move(participants));
    }
    for (State& state : states_) {
      if (in_order) {
        AddParticipant(*state.participant, ends, std::move(state.start));
      } else {
        Register(*state.participant, std::move(state.start));  // nobody asks for ends of epochs
      }
    }
  }

  void Connect() {
    ConnectStates();
    built_ = true;
    for (size_t i = 0; i < node_.inputs.size(); ++i) {
      std::vector<ToOutput> to_outputs;
      for (size_t o = 0; o < node_.outputs.size(); ++o) {
        std::optional<Summary> summary = TimestampTraits<T>::Identity();
        for (const GivenSummary& given : summaries_) {
          if (given.input == i && given.output == o) summary = given.summary;
        }
        if (summary.has_value() && node_.inputs[i]->location != node_.outputs[o]->location) {
          scope_.AddEdge(node_.inputs[i]->location, node_.outputs[o]->location, *summary);
        }
        to_outputs.push_back({ledgers_[o], summary});
      }
      connect_inputs_[i].connect(connect_inputs_[i].input, std::move(to_outputs));
      if (node_.inputs[i]->watches_frontier) scope_.tracker().Watch(node_.inputs[i]->location);
    }
  }

  Scope<T>& scope_;
  internal::Graph& graph_;
  internal::Node& node_;
  std::vector<internal::CapabilityLedger<T>*> ledgers_;
  std::vector<ConnectInput> connect_inputs_;
  std::vector<GivenSummary> summaries_;
  EpochInputs<T>* epochs_ = nullptr;  // if OrderEpochs was called
  std::vector<State> states_;
  bool built_ = false;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_OPERATOR_BUILDER_H_
