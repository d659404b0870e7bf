#ifndef HEADWAY_OPERATORS_KEY_ON_H_
#define HEADWAY_OPERATORS_KEY_ON_H_

#include <string>
#include <type_traits>
#include <utility>

#include "operators/map.h"

namespace headway {

// Pairs each record with its key: Stream<D> becomes Stream<std::pair<K, D>>, which keyed steps
// take.
template <class KeyFn>
auto KeyOn(std::string step_id, KeyFn key) {
  return [step_id = std::move(step_id),
          key = std::move(key)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                  "KeyOn: the function must take one record of the stream, with "
                  "std::string_view for its strings");
    using Key = std::invoke_result_t<KeyFn&, ReadType<D>>;
    return stream | Map(step_id, [key = std::move(key)](TakeType<D> record) mutable {
             if constexpr (std::is_reference_v<TakeType<D>>) {
               RecordOfT<Key> k(key(std::as_const(record)));  // before the record moves
               return std::pair<RecordOfT<Key>, D>(std::move(k), std::move(record));
             } else {
               return std::pair<KeyInBatch<D, Key>, TakeType<D>>(key(std::as_const(record)),
                                                                 record);
             }
           });
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KEY_ON_H_
