#ifndef HEADWAY_OPERATORS_MAP_IN_PLACE_H_
#define HEADWAY_OPERATORS_MAP_IN_PLACE_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// Changes each record by f(D& record), which returns nothing: Stream<D> stays Stream<D>. Records
// are changed where they are, without a copy. Records with strings are columns, which have no D& to
// change: each is copied into a D and back, so prefer Map for them. An exception of `f` ends the
// run with an error that names the step. Keeps no state, and exchanges nothing.
template <class F>
auto MapInPlace(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F change) {
        static_assert(std::is_invocable_v<F&, D&>,
                      "MapInPlace: the function must take one record of the stream by reference, "
                      "a string as std::string&");
        static_assert(std::is_void_v<std::invoke_result_t<F&, D&>>,
                      "MapInPlace: the function must change the record and return nothing; use Map "
                      "for a function that returns the new record");
        if constexpr (std::is_same_v<Batch<D>, VectorBatch<D>>) {
          return TransformInPlace(stream, id,
                                  [change = std::move(change)](Batch<D>& batch) mutable {
                                    for (D& record : batch) change(record);
                                  });
        } else {
          return Transform<D>(stream, id,
                              [change = std::move(change), record = D()](
                                  Batch<D>& batch, TransformOutput<D, T>& out) mutable {
                                for (size_t i = 0; i < batch.size(); ++i) {
                                  record = batch.Take(i);  // its strings keep their memory
                                  change(record);
                                  out.Give(std::as_const(record));
                                }
                              });
        }
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_MAP_IN_PLACE_H_
