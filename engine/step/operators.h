#ifndef HEADWAY_ENGINE_STEP_OPERATORS_H_
#define HEADWAY_ENGINE_STEP_OPERATORS_H_

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/notificator.h"
#include "engine/step/operator_builder.h"

// Operators with one or two inputs and one output; for other numbers see OperatorBuilder. Prefer
// the first that is sufficient.
//
// Each takes a step id, the pact of each input, and a constructor. The constructor receives the
// operator's first capability and returns the logic. An operator that sends only in response to
// batches ignores the capability, which is then dropped.

namespace headway {

namespace internal {

// Constructor takes `Given...` and returns the logic, a function of `Taken...`.
template <class Constructor, class... Given>
concept Constructs = std::is_invocable_v<Constructor&, Given...> &&
                     !std::is_void_v<std::invoke_result_t<Constructor&, Given...>>;
template <class Logic, class... Taken>
concept RunsOn = std::is_invocable_v<Logic&, Taken...>;

template <class R, class Pact, class Constructor>
auto DefineUnary(std::string step_id, Pact pact, Constructor constructor, bool watch_frontier) {
  return DefineStep(
      std::move(step_id), std::move(pact), std::move(constructor), watch_frontier,
      []<class D, class T>(
          const Stream<D, T>& stream, std::string_view id, Pact of_input,
          // NOLINTNEXTLINE(performance-unnecessary-value-param): moved, but where it is refused
          Constructor construct, bool watches) {
        static_assert(Constructs<Constructor, Capability<T>>,
                      "Unary and UnaryFrontier: the constructor must take a Capability<T> and "
                      "return the logic");
        using Logic = std::invoke_result_t<Constructor&, Capability<T>>;
        static_assert(RunsOn<Logic, NodeInput<D, T>&, NodeOutput<R, T>&>,
                      "Unary and UnaryFrontier: the logic must take (NodeInput<D, T>& in, "
                      "NodeOutput<R, T>& out), for streams of D to R at times of type T");
        OperatorBuilder<T> builder(stream.scope(), id);
        NodeInput<D, T>& input = builder.AddInput(stream, std::move(of_input));
        NodeOutput<R, T>& output = builder.template AddOutput<R>();
        if (!watches) builder.IgnoreFrontier(0);
        builder.Build([&](std::vector<Capability<T>> first) {
          return [&input, &output, logic = construct(std::move(first[0]))]() mutable {
            logic(input, output);
          };
        });
        return builder.StreamOf(output);
      });
}

template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto DefineBinary(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
                  Constructor constructor, bool watch_frontiers) {
  return DefineStep(
      std::move(step_id), std::move(other), std::move(pact1), std::move(pact2),
      std::move(constructor), watch_frontiers,
      []<class D>(const Stream<D, T>& left, std::string_view id, const Stream<E, T>& right,
                  Pact1 of_left, Pact2 of_right, Constructor construct, bool watches) {
        static_assert(Constructs<Constructor, Capability<T>>,
                      "Binary and BinaryFrontier: the constructor must take a Capability<T> and "
                      "return the logic");
        using Logic = std::invoke_result_t<Constructor&, Capability<T>>;
        static_assert(RunsOn<Logic, NodeInput<D, T>&, NodeInput<E, T>&, NodeOutput<R, T>&>,
                      "Binary and BinaryFrontier: the logic must take (NodeInput<D, T>& in, "
                      "NodeInput<E, T>& other_in, NodeOutput<R, T>& out), for streams of D and E "
                      "to R at times of type T");
        OperatorBuilder<T> builder(left.scope(), id);
        NodeInput<D, T>& input1 = builder.AddInput(left, std::move(of_left));
        NodeInput<E, T>& input2 = builder.AddInput(right, std::move(of_right));
        NodeOutput<R, T>& output = builder.template AddOutput<R>();
        if (!watches) {
          builder.IgnoreFrontier(0);
          builder.IgnoreFrontier(1);
        }
        builder.Build([&](std::vector<Capability<T>> first) {
          return [&input1, &input2, &output, logic = construct(std::move(first[0]))]() mutable {
            logic(input1, input2, output);
          };
        });
        return builder.StreamOf(output);
      });
}

}  // namespace internal

// stream | Unary<R>("id", pact, [](Capability<T> first) { return [](NodeInput<D, T>& in,
// NodeOutput<R, T>& out) {...}; }): the logic runs when batches have come. A change of the frontier
// does not activate it.
template <class R, class Pact, class Constructor>
auto Unary(std::string step_id, Pact pact, Constructor constructor) {
  return internal::DefineUnary<R>(std::move(step_id), std::move(pact), std::move(constructor),
                                  /*watch_frontier=*/false);
}

// The same for logic that reads in.frontier(): a change of the frontier activates it too.
template <class R, class Pact, class Constructor>
auto UnaryFrontier(std::string step_id, Pact pact, Constructor constructor) {
  return internal::DefineUnary<R>(std::move(step_id), std::move(pact), std::move(constructor),
                                  /*watch_frontier=*/true);
}

// An operator that is notified when a time is complete: logic(in, out, notificator). The
// constructor, constructor(Capability<T>, Notificator<T>&), may request notifications with the
// first capability.
template <class R, class Pact, class Constructor>
auto UnaryNotify(std::string step_id, Pact pact, Constructor constructor) {
  return DefineStep(
      std::move(step_id), std::move(pact), std::move(constructor),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Pact of_input,
                           Constructor construct) {
        static_assert(internal::Constructs<Constructor, Capability<T>, Notificator<T>&>,
                      "UnaryNotify: the constructor must take (Capability<T>, Notificator<T>&) and "
                      "return the logic");
        using Logic = std::invoke_result_t<Constructor&, Capability<T>, Notificator<T>&>;
        static_assert(
            internal::RunsOn<Logic, NodeInput<D, T>&, NodeOutput<R, T>&, Notificator<T>&>,
            "UnaryNotify: the logic must take (NodeInput<D, T>& in, NodeOutput<R, T>& out, "
            "Notificator<T>& notificator), for streams of D to R at times of type T");
        OperatorBuilder<T> builder(stream.scope(), id);
        NodeInput<D, T>& input = builder.AddInput(stream, std::move(of_input));
        NodeOutput<R, T>& output = builder.template AddOutput<R>();
        builder.Build([&](std::vector<Capability<T>> first) {
          auto notificator = std::make_unique<Notificator<T>>();
          auto logic = construct(std::move(first[0]), *notificator);
          return [&input, &output, notificator = std::move(notificator),
                  logic = std::move(logic)]() mutable { logic(input, output, *notificator); };
        });
        return builder.StreamOf(output);
      });
}

// stream | Binary<R>("id", other, pact, other_pact, constructor): logic(in, other_in, out), which
// runs when batches have come. A change of a frontier does not activate it.
template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto Binary(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
            Constructor constructor) {
  return internal::DefineBinary<R>(std::move(step_id), std::move(other), std::move(pact1),
                                   std::move(pact2), std::move(constructor),
                                   /*watch_frontiers=*/false);
}

// The same for logic that reads the frontiers of its inputs: a change of one activates it too.
template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto BinaryFrontier(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
                    Constructor constructor) {
  return internal::DefineBinary<R>(std::move(step_id), std::move(other), std::move(pact1),
                                   std::move(pact2), std::move(constructor),
                                   /*watch_frontiers=*/true);
}

// An operator with two inputs that is notified when a time is complete: logic(in, other_in, out,
// notificator). notificator.Next(in.frontier(), other_in.frontier()) returns the capability of a
// time that is complete at both inputs. The constructor is that of UnaryNotify.
template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto BinaryNotify(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
                  Constructor constructor) {
  return DefineStep(
      std::move(step_id), std::move(other), std::move(pact1), std::move(pact2),
      std::move(constructor),
      []<class D>(const Stream<D, T>& left, std::string_view id, const Stream<E, T>& right,
                  Pact1 of_left, Pact2 of_right, Constructor construct) {
        static_assert(internal::Constructs<Constructor, Capability<T>, Notificator<T>&>,
                      "BinaryNotify: the constructor must take (Capability<T>, Notificator<T>&) "
                      "and return the logic");
        using Logic = std::invoke_result_t<Constructor&, Capability<T>, Notificator<T>&>;
        static_assert(internal::RunsOn<Logic, NodeInput<D, T>&, NodeInput<E, T>&, NodeOutput<R, T>&,
                                       Notificator<T>&>,
                      "BinaryNotify: the logic must take (NodeInput<D, T>& in, NodeInput<E, T>& "
                      "other_in, NodeOutput<R, T>& out, Notificator<T>& notificator), for streams "
                      "of D and E to R at times of type T");
        OperatorBuilder<T> builder(left.scope(), id);
        NodeInput<D, T>& input1 = builder.AddInput(left, std::move(of_left));
        NodeInput<E, T>& input2 = builder.AddInput(right, std::move(of_right));
        NodeOutput<R, T>& output = builder.template AddOutput<R>();
        builder.Build([&](std::vector<Capability<T>> first) {
          auto notificator = std::make_unique<Notificator<T>>();
          auto logic = construct(std::move(first[0]), *notificator);
          return
              [&input1, &input2, &output, notificator = std::move(notificator),
               logic = std::move(logic)]() mutable { logic(input1, input2, output, *notificator); };
        });
        return builder.StreamOf(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_OPERATORS_H_
