#ifndef HEADWAY_OPERATORS_DISTINCT_H_
#define HEADWAY_OPERATORS_DISTINCT_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/keyed_pairs.h"

namespace headway {

// Keeps the first record of each key: Stream<D> stays Stream<D>. key(record) is the key; by default
// the record itself. A record that is kept is emitted at once.
//
// The step exchanges its input by key. It keeps all keys as long as the run, and after the end of
// the input; prefer Deduplicate or DistinctPerEpoch for a stream without end. Of records that come
// from several source partitions any may be the first. An exception of `key` ends the run with an
// error that names the step. A record costs a lookup of its key; only a new key is written to a
// snapshot.
template <class KeyFn = std::identity>
auto Distinct(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        HEADWAY_REQUIRE_KEY_FUNCTION("Distinct", KeyFn, D);
        KeyedOperator<bool, D, T, KeyFn> keyed(stream, id, key_of);
        auto& output = keyed.template AddOutput<D>();
        keyed.OnBatch([&seen = keyed.step().states(), &output, key_of = std::move(key_of)](
                          const CapabilityRef<T>& time, Batch<D>& batch) mutable {
          auto session = output.SessionAt(time);
          const auto key_at = internal::KeysOf<D>(batch, key_of);
          seen.PeekEach(batch.size(), key_at, [&](size_t i, const bool* is_seen) {
            if (is_seen != nullptr) return;
            seen.At(key_at(i)) = true;
            session.Give(batch.Take(i));
          });
        });
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_DISTINCT_H_
