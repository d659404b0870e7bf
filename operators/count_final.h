#ifndef HEADWAY_OPERATORS_COUNT_FINAL_H_
#define HEADWAY_OPERATORS_COUNT_FINAL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/keyed_operator.h"

namespace headway {

// Counts the records of each key, and emits (key, count) when the input has ended. key(record) is
// the key; by default the record itself. A graceful stop is not the end of the input: the step
// emits nothing then.
//
// The step exchanges its input by key. An Exchange before it partitions the stream twice.
template <class KeyFn = std::identity>
auto CountFinal(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                      "CountFinal: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        static_assert(StableKey<internal::KeyOf<KeyFn, D>>,
                      "CountFinal: the key must have a stable hash and ==: numbers, strings, std "
                      "types and aggregates of them have both, and a type of your own needs "
                      "uint64_t HeadwayStableHash(const Type&) and operator==");
        static_assert(TimestampTraits<T>::kTotallyOrdered, "CountFinal must be in the root scope");
        KeyedOperator<int64_t, D, T, KeyFn> keyed(stream, id, std::move(key_of));
        using Step = typename decltype(keyed)::Step;
        using KeyView = typename Step::KeyView;
        auto& output = keyed.template AddOutput<std::pair<typename Step::K, int64_t>>();
        keyed.OnBatch([&step = keyed.step()](const CapabilityRef<T>&, Batch<D>& batch) {
          step.AtEach(batch, [](size_t, int64_t& count) { ++count; });
        });
        keyed.AtEnd([&counts = keyed.step().states(), &output](const CapabilityRef<T>& time) {
          auto session = output.SessionAt(time);
          counts.ForEach([&](KeyView k, int64_t count) {
            session.Give(std::pair<KeyView, int64_t>(k, count));
          });
          counts.Clear();
        });
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_COUNT_FINAL_H_
