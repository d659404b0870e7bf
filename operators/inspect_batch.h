#ifndef HEADWAY_OPERATORS_INSPECT_BATCH_H_
#define HEADWAY_OPERATORS_INSPECT_BATCH_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// Calls f(const Batch<D>& batch) for each batch and passes it on unchanged: Stream<D> stays
// Stream<D>. A batch is a range of records, with size() and operator[]. `f` may take a
// std::span<const D> if the records have no strings. The result of `f` is ignored, and an exception
// of it ends the run with an error that names the step.
//
// A batch has one time, and at least one record. How the records are divided into batches depends
// on the load, the number of workers and the epochs: compute nothing from it. Keeps no state, and
// exchanges nothing.
template <class F>
auto InspectBatch(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F see) {
        static_assert(std::is_invocable_v<F&, const Batch<D>&>,
                      "InspectBatch: the function must take a const Batch<D>& for a stream of D, "
                      "or a std::span<const D> if D has no strings");
        return TransformInPlace(stream, id, [see = std::move(see)](Batch<D>& batch) mutable {
          see(std::as_const(batch));
        });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_INSPECT_BATCH_H_
