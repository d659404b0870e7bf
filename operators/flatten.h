#ifndef HEADWAY_OPERATORS_FLATTEN_H_
#define HEADWAY_OPERATORS_FLATTEN_H_

#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/flat_map.h"

namespace headway {

// Replaces each record, a range, by its elements: Stream<std::vector<R>> becomes Stream<R>. Moves
// the elements. A large record does not need memory for all its elements at once: like FlatMap, the
// step stops within a record while there is no credit. Keeps no state, and exchanges nothing.
inline auto Flatten(std::string step_id) {
  return DefineStep(
      std::move(step_id), []<class D, class T>(const Stream<D, T>& stream, std::string id) {
        static_assert(std::ranges::input_range<D>,
                      "Flatten: the records of the stream must be ranges, such as vectors");
        return stream | FlatMap(std::move(id), [](TakeType<D> record) {
                 if constexpr (std::is_same_v<D, std::string>) {
                   return std::string_view(record);
                 } else {
                   return record |
                          std::views::transform([](std::ranges::range_reference_t<D>&& element) {
                            return std::ranges::range_value_t<D>(std::move(element));
                          });
                 }
               });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FLATTEN_H_
