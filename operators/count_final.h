#ifndef HEADWAY_OPERATORS_COUNT_FINAL_H_
#define HEADWAY_OPERATORS_COUNT_FINAL_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_final.h"

namespace headway {

// Counts the records of each key, and emits (key, count) when the input has ended. key(record) is
// the key; by default the record itself. A graceful stop is not the end of the input: the step
// emits nothing then.
//
// The step exchanges its input by key. For state, the watermark, exceptions and cost see
// fold_final.h.
template <class KeyFn = std::identity>
auto CountFinal(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        HEADWAY_REQUIRE_KEY_FUNCTION("CountFinal", KeyFn, D);
        static_assert(TimestampTraits<T>::kTotallyOrdered, "CountFinal must be in the root scope");
        return internal::EmitFinal(stream, id, std::move(key_of), internal::CountRecords());
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_COUNT_FINAL_H_
