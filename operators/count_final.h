#ifndef HEADWAY_OPERATORS_COUNT_FINAL_H_
#define HEADWAY_OPERATORS_COUNT_FINAL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/step/operator_builder.h"

namespace headway {

// Counts the records of each key and emits (key, count) when the input has ended. key(record) is
// the key; by default the record itself. After a graceful stop, which is not the end of the input,
// it emits nothing.
template <class KeyFn = std::identity>
auto CountFinal(std::string step_id, KeyFn key = {}) {
  return [step_id = std::move(step_id),
          key = std::move(key)]<class D, class T>(const Stream<D, T>& stream) mutable {
    static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                  "CountFinal: the function must take one record of the stream, with "
                  "std::string_view for its strings");
    static_assert(TimestampTraits<T>::kTotallyOrdered, "CountFinal belongs into the root scope");
    using Key = std::invoke_result_t<KeyFn&, ReadType<D>>;
    using K = RecordOfT<Key>;
    using KeyView = typename KeyedState<K, int64_t>::KeyView;
    using KeyToCount = KeyInBatch<D, Key>;
    OperatorBuilder<T> builder(stream.scope(), step_id);
    NodeInput<D, T>& input = builder.AddInput(stream, pact::Exchange{key});
    auto& output = builder.template AddOutput<std::pair<K, int64_t>>();
    auto& counts = builder.template AddState<K, int64_t>();
    builder.Build([&](std::vector<Capability<T>> first) {
      return [&input, &output, &counts, key, held = std::move(first[0])]() mutable {
        input.ForEach([&](const CapabilityRef<T>&, Batch<D>& batch) {
          counts.AtEach(
              batch.size(),
              [&](size_t i) -> KeyToCount { return KeyToCount(key(std::as_const(batch)[i])); },
              [](size_t, int64_t& count) { ++count; });
        });
        held.Follow(input.frontier());
        if (!held.held() || !input.frontier().empty()) return;
        auto session = output.SessionAt(held);
        counts.ForEach(
            [&](KeyView k, int64_t count) { session.Give(std::pair<KeyView, int64_t>(k, count)); });
        counts.Clear();
        held.Drop();
      };
    });
    return builder.StreamOf(output);
  };
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_COUNT_FINAL_H_
