#ifndef HEADWAY_OPERATORS_SPLIT_H_
#define HEADWAY_OPERATORS_SPLIT_H_

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

namespace internal {

template <class Index>
inline constexpr bool kIsSplitIndex = std::is_integral_v<Index> || std::is_enum_v<Index>;

// The output of a record, from the result of the user's function.
template <size_t count, class Index>
size_t CheckSplitIndex(Index index) {
  if constexpr (std::is_enum_v<Index>) {
    return CheckSplitIndex<count>(static_cast<std::underlying_type_t<Index>>(index));
  } else {
    const auto output = static_cast<size_t>(index);
    if (output >= count) [[unlikely]] {
      throw std::out_of_range("it returned " + std::to_string(index) +
                              " for a record; return an index from 0 to " +
                              std::to_string(count - 1));
    }
    return output;
  }
}

template <size_t index, class D>
using RecordOfOutput = D;

template <class D, class T, class F, size_t... indices>
auto SplitByIndex(const Stream<D, T>& stream, std::string_view id, F index_of,
                  std::index_sequence<indices...>) {
  constexpr size_t kCount = sizeof...(indices);
  auto outputs = TransformTo<RecordOfOutput<indices, D>...>(
      stream, id, [index_of = std::move(index_of)](Batch<D>& batch, auto&... out) mutable {
        const std::array<TransformOutput<D, T>*, kCount> to = {(out.IsRead() ? &out : nullptr)...};
        for (size_t i = 0; i < batch.size(); ++i) {
          const size_t output = CheckSplitIndex<kCount>(index_of(std::as_const(batch)[i]));
          if (to[output] != nullptr) to[output]->Give(batch.Take(i));
        }
      });
  return std::array<Stream<D, T>, kCount>{std::get<indices>(std::move(outputs))...};
}

// Gives the alternative of a std::variant to the output of its index.
template <size_t index = 0, class Variant, class Output, class... Outputs>
void GiveAlternative(Variant&& record, Output& out, Outputs&... others) {
  if (record.index() == index) {
    if (out.IsRead()) out.Give(std::get<index>(std::move(record)));
  } else if constexpr (sizeof...(Outputs) > 0) {
    GiveAlternative<index + 1>(std::move(record), others...);
  }
}

template <class T, class... Ts>
auto SplitByAlternative(const Stream<std::variant<Ts...>, T>& stream, std::string_view id) {
  return TransformTo<RecordOfT<Ts>...>(
      stream, id, [](Batch<std::variant<Ts...>>& batch, TransformOutput<RecordOfT<Ts>, T>&... out) {
        for (size_t i = 0; i < batch.size(); ++i) GiveAlternative(batch.Take(i), out...);
      });
}

}  // namespace internal

// Divides a stream into `count` streams, in a std::array: a record goes to the stream of the index
// that f(record) returns, an integer or an enum. The streams are Stream<D>, and records keep their
// order. A stream that no step reads costs nothing.
//
//   auto [small, medium, large] = numbers | Split<3>("size", [](int x) { ... });
//
// An index that is negative, or not below `count`, and an exception of `f` end the run with an
// error that names the step. Keeps no state, and exchanges nothing.
template <size_t count, class F>
auto Split(std::string step_id, F f) {
  static_assert(count > 0, "Split: the number of streams must be positive");
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F index_of) {
        static_assert(std::is_invocable_v<F&, ReadType<D>>,
                      "Split: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        static_assert(
            internal::kIsSplitIndex<std::remove_cvref_t<std::invoke_result_t<F&, ReadType<D>>>>,
            "Split: the function must return the index of a stream, an integer or an enum");
        return internal::SplitByIndex(stream, id, std::move(index_of),
                                      std::make_index_sequence<count>());
      });
}

// Divides a stream of std::variant<Ts...> into a stream for each alternative, in a std::tuple:
//
//   auto [clicks, orders] = events | Split("kind");  // events: Stream<std::variant<Click, Order>>
//
// The rest is as above.
inline auto Split(std::string step_id) {
  return DefineStep(
      std::move(step_id),
      []<class T, class... Ts>(const Stream<std::variant<Ts...>, T>& stream, std::string_view id) {
        return internal::SplitByAlternative(stream, id);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_SPLIT_H_
