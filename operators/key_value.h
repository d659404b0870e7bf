#ifndef HEADWAY_OPERATORS_KEY_VALUE_H_
#define HEADWAY_OPERATORS_KEY_VALUE_H_

#include <type_traits>
#include <utility>

#include "engine/batch/batch.h"

namespace headway {

// The types of the (key, value) records of keyed streams. KeyOn makes such a stream.

template <class D>
concept KeyValueRecord = requires(D record) {
  record.first;
  record.second;
};

// The key and the value as a function receives them that consumes a record: `K` and `V`, or
// BatchString for a string in columns.
template <KeyValueRecord D>
using TakenKey = std::remove_cvref_t<decltype(std::declval<TakeType<D>>().first)>;
template <KeyValueRecord D>
using TakenValue = std::remove_cvref_t<decltype(std::declval<TakeType<D>>().second)>;
// The same for a function that reads a record.
template <KeyValueRecord D>
using ReadValue = std::remove_cvref_t<decltype(std::declval<ReadType<D>>().second)>;

}  // namespace headway

#endif  // HEADWAY_OPERATORS_KEY_VALUE_H_
