#ifndef HEADWAY_OPERATORS_MAP_VALUE_H_
#define HEADWAY_OPERATORS_MAP_VALUE_H_

#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"
#include "operators/key_value.h"
#include "operators/map.h"

namespace headway {

// Replaces the value of each record by f(value): (key, value) becomes (key, result). A result of
// type std::string_view becomes a std::string. An exception of `f` ends the run with an error that
// names the step. Keeps no state, and exchanges nothing. Changes records in place if the type of
// the value stays the same.
template <class F>
auto MapValue(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string id, F map) {
        static_assert(KeyValueRecord<D>,
                      "MapValue: the stream must have (key, value) pairs as records; make them "
                      "with KeyOn");
        using Value = TakenValue<D>;
        static_assert(std::is_invocable_v<F&, Value&&>,
                      "MapValue: the function must take the value of a record, a string as "
                      "std::string_view");
        using Result = std::decay_t<std::invoke_result_t<F&, Value&&>>;
        static_assert(!std::is_void_v<Result>,
                      "MapValue: the function must return the new value of the record");
        if constexpr (std::is_same_v<Batch<D>, VectorBatch<D>> && std::is_same_v<Value, Result>) {
          return TransformInPlace(stream, id, [map = std::move(map)](Batch<D>& batch) mutable {
            for (D& record : batch) record.second = map(std::move(record.second));
          });
        } else {
          return stream | Map(std::move(id), [map = std::move(map)](TakeType<D> record) mutable {
                   return std::pair<TakenKey<D>, Result>(std::move(record.first),
                                                         map(std::move(record.second)));
                 });
        }
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MAP_VALUE_H_
