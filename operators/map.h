#ifndef HEADWAY_OPERATORS_MAP_H_
#define HEADWAY_OPERATORS_MAP_H_

#include <algorithm>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

namespace internal {

template <class D, class R, class T, class F>
void MapTo(F& f, Batch<D>& batch, TransformOutput<R, T>& out) {
  if constexpr (std::is_same_v<Batch<R>, VectorBatch<R>> && std::is_trivially_copyable_v<R>) {
    // Room is checked once per run of records, so that the loop can be vectorized.
    for (size_t i = 0; i < batch.size();) {
      Batch<R>& results = out.BatchWithRoom();
      const size_t run = std::min(batch.size() - i, results.room());
      R* to = results.end();
      for (size_t k = 0; k < run; ++k) new (to + k) R(f(batch.Take(i + k)));
      results.Grow(run);
      i += run;
    }
  } else {
    for (size_t i = 0; i < batch.size(); ++i) out.Give(f(batch.Take(i)));
  }
}

}  // namespace internal

// Replaces each record by f(record): Stream<D> becomes Stream<R>, where R is the type of the
// result; a std::string_view becomes a std::string. Each worker uses its own copy of `f`. An
// exception of `f` ends the run with an error that names the step.
template <class F>
auto Map(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F map) {
        static_assert(std::is_invocable_v<F&, TakeType<D>>,
                      "Map: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        static_assert(!std::is_void_v<std::invoke_result_t<F&, TakeType<D>>>,
                      "Map: the function must return the new record; use Inspect for a function "
                      "that returns nothing");
        using R = RecordOfT<std::invoke_result_t<F&, TakeType<D>>>;
        if constexpr (std::is_same_v<D, R> && std::is_same_v<Batch<D>, VectorBatch<D>> &&
                      std::is_trivially_copyable_v<D>) {
          return TransformInPlace(stream, id, [map = std::move(map)](Batch<D>& batch) mutable {
            for (D& record : batch) record = map(std::move(record));
          });
        } else {
          return Transform<R>(
              stream, id,
              [map = std::move(map)](Batch<D>& batch, TransformOutput<R, T>& out) mutable {
                internal::MapTo<D>(map, batch, out);
              });
        }
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MAP_H_
