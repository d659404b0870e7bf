#ifndef HEADWAY_OPERATORS_INSPECT_H_
#define HEADWAY_OPERATORS_INSPECT_H_

#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/transform.h"

namespace headway {

// Calls f(record) for each record and passes it on unchanged.
template <class F>
auto Inspect(std::string step_id, F f) {
  return [step_id = std::move(step_id),
          f = std::move(f)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(std::is_invocable_v<F&, ReadType<D>>,
                  "Inspect: the function must take one record of the stream, with "
                  "std::string_view for its strings");
    return TransformInPlace(stream, step_id, [f = std::move(f)](Batch<D>& batch) mutable {
      for (size_t i = 0; i < batch.size(); ++i) f(std::as_const(batch)[i]);
    });
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_INSPECT_H_
