#ifndef HEADWAY_OPERATORS_FILTER_MAP_VALUE_H_
#define HEADWAY_OPERATORS_FILTER_MAP_VALUE_H_

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/filter_map.h"
#include "operators/key_value.h"

namespace headway {

// Replaces the value of each record by that of f(value), a std::optional, and drops records for
// which that is empty: (key, value) becomes (key, result). An exception of `f` ends the run with an
// error that names the step. Keeps no state, and exchanges nothing.
template <class F>
auto FilterMapValue(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string id, F map) {
        static_assert(KeyValueRecord<D>,
                      "FilterMapValue: the stream must have (key, value) pairs as records; make "
                      "them with KeyOn");
        static_assert(std::is_invocable_v<F&, TakenValue<D>&&>,
                      "FilterMapValue: the function must take the value of a record, a string as "
                      "std::string_view");
        using Result = std::remove_cvref_t<std::invoke_result_t<F&, TakenValue<D>&&>>;
        static_assert(internal::kIsOptional<Result>,
                      "FilterMapValue: the function must return a std::optional of the new value, "
                      "which is empty for records to drop");
        using Pair = std::pair<TakenKey<D>, typename Result::value_type>;
        return stream |
               FilterMap(std::move(id), [map = std::move(map)](TakeType<D> record) mutable {
                 std::optional<Pair> pair;
                 if (Result result = map(std::move(record.second)); result.has_value()) {
                   pair.emplace(std::move(record.first), *std::move(result));
                 }
                 return pair;
               });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FILTER_MAP_VALUE_H_
