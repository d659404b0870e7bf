#ifndef HEADWAY_OPERATORS_KEYED_PAIRS_H_
#define HEADWAY_OPERATORS_KEYED_PAIRS_H_

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "comm/codec/codec.h"
#include "comm/codec/stable_key.h"
#include "engine/batch/batch.h"
#include "engine/graph/scope.h"
#include "engine/runtime/concat.h"
#include "engine/step/keyed_operator.h"
#include "operators/key_value.h"

// The types and the requirements that steps on (key, value) records have in common.

namespace headway::internal {

// The key and the value of a (key, value) record, as a step keeps them.
template <KeyValueRecord D>
using KeyOfPair = std::remove_cvref_t<decltype(std::declval<D>().first)>;
template <KeyValueRecord D>
using ValueOfPair = std::remove_cvref_t<decltype(std::declval<D>().second)>;

// The same, and the value as a step takes it from a batch, where strings are views.
template <class D>
struct PairTypes {
  using K = KeyOfPair<D>;
  using V = ValueOfPair<D>;
  using TakenValue = headway::TakenValue<D>;
};

// The record type of a stream of keys and results.
template <class KeyFn, class D, class R>
using KeyAnd = std::pair<KeyOf<KeyFn, D>, RecordOfT<R>>;

// State that a keyed step can keep.
template <class S>
concept KeptState = std::is_default_constructible_v<S> && Encodable<S>;

// key_at(i) is the key of record `i` of a batch, for the lookups of a whole batch.
template <class D, class KeyFn>
auto KeysOf(const Batch<D>& batch, KeyFn& key) {
  using Key = KeyInBatch<D, std::invoke_result_t<KeyFn&, ReadType<D>>>;
  return [&](size_t i) -> Key { return Key(key(batch[i])); };
}

// Fails the build of a step unless `holds`.
template <class T>
void RequireArgument(Scope<T>& scope, std::string_view step_id, bool holds,
                     std::string_view message) {
  if (holds) return;
  scope.graph().errors().FailAndThrow(scope.FullId(step_id),
                                      absl::InvalidArgumentError(Concat({message})));
}

}  // namespace headway::internal

// NOLINTBEGIN(bugprone-macro-parentheses): types have none
// The requirements on the record type D of a keyed step. `step` is its name, a literal.
#define HEADWAY_REQUIRE_PAIRS(step, D)                                                            \
  static_assert(::headway::KeyValueRecord<D>, step                                                \
                ": the stream must have (key, value) pairs as records; make them with KeyOn");    \
  static_assert(                                                                                  \
      ::headway::StableKey<typename ::headway::internal::PairTypes<D>::K>, step                   \
      ": the key must have a stable hash and ==: numbers, strings, std types and aggregates of "  \
      "them have both, and a type of your own needs uint64_t HeadwayStableHash(const Type&) and " \
      "operator==")

// The requirements on the key function of a step that takes any records.
#define HEADWAY_REQUIRE_KEY_FUNCTION(step, KeyFn, D)                                              \
  static_assert(std::is_invocable_v<KeyFn&, ::headway::ReadType<D>>, step                         \
                ": the key function must take one record of the stream, with std::string_view "   \
                "for its strings");                                                               \
  static_assert(                                                                                  \
      ::headway::StableKey<::headway::internal::KeyOf<KeyFn, D>>, step                            \
      ": the key must have a stable hash and ==: numbers, strings, std types and aggregates of "  \
      "them have both, and a type of your own needs uint64_t HeadwayStableHash(const Type&) and " \
      "operator==")
// NOLINTEND(bugprone-macro-parentheses)

#endif  // HEADWAY_OPERATORS_KEYED_PAIRS_H_
