#ifndef HEADWAY_OPERATORS_FLAT_MAP_VALUE_H_
#define HEADWAY_OPERATORS_FLAT_MAP_VALUE_H_

#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/flat_map.h"
#include "operators/key_value.h"

namespace headway {

// Replaces each (key, value) record by the elements of the range f(value), each with a copy of the
// key: (key, value) becomes (key, element). The rules for the range are those of FlatMap: it may be
// lazy, and it may refer to the value if `f` takes that by reference. An exception of `f` or of the
// range ends the run with an error that names the step. Keeps no state, and exchanges nothing.
template <class F>
auto FlatMapValue(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string id, F map) {
        static_assert(KeyValueRecord<D>,
                      "FlatMapValue: the stream must have (key, value) pairs as records; make them "
                      "with KeyOn");
        static_assert(std::is_copy_constructible_v<TakenKey<D>>,
                      "FlatMapValue: the key must be copyable, since each element gets one");
        static_assert(std::is_invocable_v<F&, TakenValue<D>&&>,
                      "FlatMapValue: the function must take the value of a record, a string as "
                      "std::string_view");
        using Range = std::remove_cvref_t<std::invoke_result_t<F&, TakenValue<D>&&>>;
        static_assert(std::ranges::input_range<Range>,
                      "FlatMapValue: the function must return a range: a container, a view or a "
                      "generator");
        using Element = std::ranges::range_reference_t<Range>;
        return stream |
               FlatMap(std::move(id), [map = std::move(map)](TakeType<D>&& record) mutable {
                 auto with_key = [key = TakenKey<D>(std::move(record.first))](Element&& element) {
                   return std::pair<const TakenKey<D>&, Element>(key,
                                                                 std::forward<Element>(element));
                 };
                 return std::views::all(Range(map(std::move(record.second)))) |
                        std::views::transform(std::move(with_key));
               });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FLAT_MAP_VALUE_H_
