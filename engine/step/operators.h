#ifndef HEADWAY_ENGINE_STEP_OPERATORS_H_
#define HEADWAY_ENGINE_STEP_OPERATORS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/notificator.h"
#include "engine/step/operator_builder.h"

// Custom operators with one or two inputs and one output, from easy to complete. For any other
// number: OperatorBuilder.
//
// Each takes a step id, the pact of each input, and a constructor that receives the operator's
// first capability and returns its logic. An operator that does not need to send before a batch
// comes lets the capability go (it drops at the end of the constructor).

namespace headway {

namespace internal {

template <class R, class D, class T, class Pact, class Constructor>
Stream<R, T> BuildUnary(const Stream<D, T>& stream, std::string_view step_id, Pact pact,
                        bool watch_frontier, Constructor& constructor) {
  OperatorBuilder<T> builder(stream.scope(), step_id);
  NodeInput<D, T>& input = builder.AddInput(stream, std::move(pact));
  NodeOutput<R, T>& output = builder.template AddOutput<R>();
  if (!watch_frontier) builder.IgnoreFrontier(0);
  builder.Build([&](std::vector<Capability<T>> first) {
    return [&input, &output, logic = constructor(std::move(first[0]))]() mutable {
      logic(input, output);
    };
  });
  return builder.StreamOf(output);
}

}  // namespace internal

// stream | Unary<R>("id", pact, [](Capability<T> first) { return [](NodeInput<D, T>& in,
// NodeOutput<R, T>& out) {...}; }): runs when batches have come; does not look at the frontier.
template <class R, class Pact, class Constructor>
auto Unary(std::string step_id, Pact pact, Constructor constructor) {
  return [=, constructor =
                 std::move(constructor)]<class D, class T>(const Stream<D, T>& stream) mutable {
    return internal::BuildUnary<R>(stream, step_id, pact, false, constructor);
  };
}

// The same for logic that also looks at in.frontier(): it runs when that changes too.
template <class R, class Pact, class Constructor>
auto UnaryFrontier(std::string step_id, Pact pact, Constructor constructor) {
  return [=, constructor =
                 std::move(constructor)]<class D, class T>(const Stream<D, T>& stream) mutable {
    return internal::BuildUnary<R>(stream, step_id, pact, true, constructor);
  };
}

// Logic that is told when a time is complete: logic(in, out, notificator), where the constructor
// may have asked for notifications with the first capability: constructor(Capability<T>,
// Notificator<T>&).
template <class R, class Pact, class Constructor>
auto UnaryNotify(std::string step_id, Pact pact, Constructor constructor) {
  return [=, constructor =
                 std::move(constructor)]<class D, class T>(const Stream<D, T>& stream) mutable {
    OperatorBuilder<T> builder(stream.scope(), step_id);
    NodeInput<D, T>& input = builder.AddInput(stream, pact);
    NodeOutput<R, T>& output = builder.template AddOutput<R>();
    builder.Build([&](std::vector<Capability<T>> first) {
      auto notificator = std::make_unique<Notificator<T>>();
      auto logic = constructor(std::move(first[0]), *notificator);
      return [&input, &output, notificator = std::move(notificator),
              logic = std::move(logic)]() mutable { logic(input, output, *notificator); };
    });
    return builder.StreamOf(output);
  };
}

namespace internal {

template <class R, class D, class E, class T, class Pact1, class Pact2, class Constructor>
Stream<R, T> BuildBinary(const Stream<D, T>& left, const Stream<E, T>& right,
                         std::string_view step_id, Pact1 pact1, Pact2 pact2, bool watch_frontiers,
                         Constructor& constructor) {
  OperatorBuilder<T> builder(left.scope(), step_id);
  NodeInput<D, T>& input1 = builder.AddInput(left, std::move(pact1));
  NodeInput<E, T>& input2 = builder.AddInput(right, std::move(pact2));
  NodeOutput<R, T>& output = builder.template AddOutput<R>();
  if (!watch_frontiers) {
    builder.IgnoreFrontier(0);
    builder.IgnoreFrontier(1);
  }
  builder.Build([&](std::vector<Capability<T>> first) {
    return [&input1, &input2, &output, logic = constructor(std::move(first[0]))]() mutable {
      logic(input1, input2, output);
    };
  });
  return builder.StreamOf(output);
}

}  // namespace internal

// stream | Binary<R>("id", other, pact, other_pact, constructor): logic(in, other_in, out).
template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto Binary(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
            Constructor constructor) {
  return [=, constructor = std::move(constructor)]<class D>(const Stream<D, T>& stream) mutable {
    return internal::BuildBinary<R>(stream, other, step_id, pact1, pact2, false, constructor);
  };
}

// The same for logic that also looks at the frontiers of its inputs.
template <class R, class E, class T, class Pact1, class Pact2, class Constructor>
auto BinaryFrontier(std::string step_id, Stream<E, T> other, Pact1 pact1, Pact2 pact2,
                    Constructor constructor) {
  return [=, constructor = std::move(constructor)]<class D>(const Stream<D, T>& stream) mutable {
    return internal::BuildBinary<R>(stream, other, step_id, pact1, pact2, true, constructor);
  };
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_OPERATORS_H_
