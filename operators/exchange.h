#ifndef HEADWAY_OPERATORS_EXCHANGE_H_
#define HEADWAY_OPERATORS_EXCHANGE_H_

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "comm/codec/stable_hash.h"
#include "engine/step/define_step.h"
#include "engine/step/route.h"

namespace headway {

// Sends each record to the worker that the hash of key(record) selects, so that the next step gets
// all records with equal keys on one worker: Stream<D> stays Stream<D>. By default the record is
// its own key. The record type needs a Codec, and the key type a stable hash; the compiler names
// the type that lacks one. Keyed steps exchange their records themselves.
template <class KeyFn = std::identity>
auto Exchange(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                      "Exchange: the function must take one record of the stream, with "
                      "std::string_view for its strings, and return its key");
        static_assert(StableHashable<std::decay_t<std::invoke_result_t<KeyFn&, ReadType<D>>>>,
                      "Exchange: the key must have a stable hash: numbers, strings, std types and "
                      "aggregates of them have one, and a type of your own needs uint64_t "
                      "HeadwayStableHash(const Type&) beside it");
        return Route(stream, id, pact::Exchange{std::move(key_of)});
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_EXCHANGE_H_
