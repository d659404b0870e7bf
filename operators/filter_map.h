#ifndef HEADWAY_OPERATORS_FILTER_MAP_H_
#define HEADWAY_OPERATORS_FILTER_MAP_H_

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

namespace internal {
template <class Result>
inline constexpr bool kIsOptional = false;
template <class R>
inline constexpr bool kIsOptional<std::optional<R>> = true;
}  // namespace internal

// Replaces each record by the value of f(record), a std::optional<R>, and drops records for which
// that is empty: Stream<D> becomes Stream<R>; a std::string_view becomes a std::string. An
// exception of `f` ends the run with an error that names the step. Keeps no state, and exchanges
// nothing. Costs the same as Map.
template <class F>
auto FilterMap(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F map) {
        static_assert(std::is_invocable_v<F&, TakeType<D>>,
                      "FilterMap: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        using Result = std::remove_cvref_t<std::invoke_result_t<F&, TakeType<D>>>;
        static_assert(internal::kIsOptional<Result>,
                      "FilterMap: the function must return a std::optional of the new record, "
                      "which is empty for records to drop");
        using R = RecordOfT<typename Result::value_type>;
        return Transform<R>(
            stream, id,
            [map = std::move(map)](Batch<D>& batch, TransformOutput<R, T>& out) mutable {
              for (size_t i = 0; i < batch.size(); ++i) {
                Result result = map(batch.Take(i));
                if (result.has_value()) out.Give(*std::move(result));
              }
            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FILTER_MAP_H_
