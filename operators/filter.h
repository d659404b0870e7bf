#ifndef HEADWAY_OPERATORS_FILTER_H_
#define HEADWAY_OPERATORS_FILTER_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// Keeps the records for which predicate(record) is true: Stream<D> stays Stream<D>. An exception of
// the predicate ends the run with an error that names the step.
template <class Predicate>
auto Filter(std::string step_id, Predicate predicate) {
  return DefineStep(
      std::move(step_id), std::move(predicate),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Predicate keeps) {
        static_assert(
            std::is_invocable_r_v<bool, Predicate&, ReadType<D>>,
            "Filter: the predicate must take one record of the stream and return a bool; strings "
            "are seen as std::string_view");
        return Transform<D>(
            stream, id,
            [keeps = std::move(keeps)](Batch<D>& batch, TransformOutput<D, T>& out) mutable {
              for (size_t i = 0; i < batch.size(); ++i) {
                if (keeps(std::as_const(batch)[i])) out.Give(batch.Take(i));
              }
            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FILTER_H_
