#ifndef HEADWAY_OPERATORS_FILTER_H_
#define HEADWAY_OPERATORS_FILTER_H_

#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/transform.h"

namespace headway {

// Keeps the records for which predicate(record) is true.
template <class Predicate>
auto Filter(std::string step_id, Predicate predicate) {
  return [step_id = std::move(step_id),
          predicate = std::move(predicate)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(
        std::is_invocable_r_v<bool, Predicate&, ReadType<D>>,
        "Filter: the predicate must take one record of the stream and return a bool; strings "
        "are seen as std::string_view");
    return Transform<D>(
        stream, step_id,
        [predicate = std::move(predicate)](Batch<D>& batch, TransformOutput<D, T>& out) mutable {
          for (size_t i = 0; i < batch.size(); ++i) {
            if (predicate(std::as_const(batch)[i])) out.Give(batch.Take(i));
          }
        });
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FILTER_H_
