#ifndef HEADWAY_OPERATORS_KEY_ON_H_
#define HEADWAY_OPERATORS_KEY_ON_H_

#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/map.h"

namespace headway {

// Pairs each record with key(record): Stream<D> becomes Stream<std::pair<K, D>>, which keyed steps
// take. An exception of `key` ends the run with an error that names the step.
template <class KeyFn>
auto KeyOn(std::string step_id, KeyFn key) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string id, KeyFn key_of) {
        static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                      "KeyOn: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        using Key = std::invoke_result_t<KeyFn&, ReadType<D>>;
        static_assert(!std::is_void_v<Key>,
                      "KeyOn: the function must return the key of the record");
        return stream |
               Map(std::move(id), [key_of = std::move(key_of)](TakeType<D> record) mutable {
                 if constexpr (std::is_reference_v<TakeType<D>>) {
                   RecordOfT<Key> key(key_of(std::as_const(record)));  // before the record moves
                   return std::pair<RecordOfT<Key>, D>(std::move(key), std::move(record));
                 } else {
                   return std::pair<KeyInBatch<D, Key>, TakeType<D>>(key_of(std::as_const(record)),
                                                                     record);
                 }
               });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KEY_ON_H_
