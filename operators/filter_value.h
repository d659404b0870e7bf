#ifndef HEADWAY_OPERATORS_FILTER_VALUE_H_
#define HEADWAY_OPERATORS_FILTER_VALUE_H_

#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/filter.h"
#include "operators/key_value.h"

namespace headway {

// Keeps the (key, value) records for which predicate(value) is true. An exception of the predicate
// ends the run with an error that names the step. Keeps no state, and exchanges nothing.
template <class Predicate>
auto FilterValue(std::string step_id, Predicate predicate) {
  return DefineStep(
      std::move(step_id), std::move(predicate),
      []<class D, class T>(const Stream<D, T>& stream, std::string id, Predicate keeps) {
        static_assert(KeyValueRecord<D>,
                      "FilterValue: the stream must have (key, value) pairs as records; make them "
                      "with KeyOn");
        static_assert(std::is_invocable_r_v<bool, Predicate&, const ReadValue<D>&>,
                      "FilterValue: the predicate must take the value of a record and return a "
                      "bool; strings are seen as std::string_view");
        return stream | Filter(std::move(id),
                               [keeps = std::move(keeps)](ReadType<D> record) mutable -> bool {
                                 return keeps(record.second);
                               });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FILTER_VALUE_H_
