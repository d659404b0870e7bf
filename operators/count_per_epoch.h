#ifndef HEADWAY_OPERATORS_COUNT_PER_EPOCH_H_
#define HEADWAY_OPERATORS_COUNT_PER_EPOCH_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_per_epoch.h"

namespace headway {

// Counts the records of each key and epoch: Stream<D> becomes Stream<std::pair<K, int64_t>>.
// key(record) is the key; by default the record itself. (key, count) is emitted in the epoch, when
// that is complete. In a nested scope the same is done for each time.
//
// The step exchanges its input by key. For state, ends, exceptions and cost see fold_per_epoch.h.
template <class KeyFn = std::identity>
auto CountPerEpoch(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        HEADWAY_REQUIRE_KEY_FUNCTION("CountPerEpoch", KeyFn, D);
        return internal::EmitPerEpoch(stream, id, std::move(key_of), internal::CountRecords());
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_COUNT_PER_EPOCH_H_
