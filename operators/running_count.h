#ifndef HEADWAY_OPERATORS_RUNNING_COUNT_H_
#define HEADWAY_OPERATORS_RUNNING_COUNT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/running_fold.h"

namespace headway {

// Counts the records of each key, and emits (key, count) whenever one comes: Stream<D> becomes
// Stream<std::pair<K, int64_t>>. key(record) is the key; by default the record itself. `each` says
// whether an update follows each record, or comes once at the end of an epoch.
//
// The step exchanges its input by key. It keeps a count for each key as long as the run, and after
// the end of the input: a run that continues counts on. For ends, exceptions and cost see
// running_fold.h.
template <class KeyFn = std::identity>
auto RunningCount(std::string step_id, KeyFn key = {}, UpdateEach each = UpdateEach::kChange) {
  return DefineStep(std::move(step_id), std::move(key), each,
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id,
                                         KeyFn key_of, UpdateEach update_each) {
                      HEADWAY_REQUIRE_KEY_FUNCTION("RunningCount", KeyFn, D);
                      return internal::EmitRunning(stream, id, std::move(key_of),
                                                   internal::CountRecords(), update_each);
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_RUNNING_COUNT_H_
