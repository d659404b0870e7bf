#ifndef HEADWAY_OPERATORS_INSPECT_H_
#define HEADWAY_OPERATORS_INSPECT_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// Calls f(record) for each record and passes the record on unchanged: Stream<D> stays Stream<D>.
// The result of `f` is ignored. An exception of `f` ends the run with an error that names the step.
template <class F>
auto Inspect(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F see) {
        static_assert(std::is_invocable_v<F&, ReadType<D>>,
                      "Inspect: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        return TransformInPlace(stream, id, [see = std::move(see)](Batch<D>& batch) mutable {
          for (size_t i = 0; i < batch.size(); ++i) see(std::as_const(batch)[i]);
        });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_INSPECT_H_
