#ifndef HEADWAY_OPERATORS_DEDUPLICATE_H_
#define HEADWAY_OPERATORS_DEDUPLICATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "operators/keyed_pairs.h"

namespace headway {

// Keeps the first record of each key, and drops the others for the time `ttl` after it: Stream<D>
// stays Stream<D>. key(record) is the key; by default the record itself. The first record after
// that time is kept again. A record that is dropped does not prolong the time, which is that of the
// run's clock.
//
// The step exchanges its input by key. It keeps a key for the time `ttl`; a clock timer frees it.
// At the end of the input and at a graceful stop the keys stay, for a run that continues; the time
// in between counts. An exception of `key` ends the run with an error that names the step. A record
// costs a lookup of its key, and one that is kept a timer. The build fails with InvalidArgument if
// `ttl` is not positive. Prefer Distinct for an infinite one.
template <class KeyFn = std::identity>
auto Deduplicate(std::string step_id, absl::Duration ttl, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), ttl, std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, absl::Duration keep_for,
                           KeyFn key_of) {
        HEADWAY_REQUIRE_KEY_FUNCTION("Deduplicate", KeyFn, D);
        static_assert(TimestampTraits<T>::kTotallyOrdered, "Deduplicate must be in the root scope");
        internal::RequireArgument(stream.scope(), id, keep_for > absl::ZeroDuration(),
                                  "its time to live is not positive; give it a longer one");
        // The state of a key is the end of its time, in nanoseconds since 1970. It has a timer.
        KeyedOperator<int64_t, D, T, KeyFn> keyed(stream, id, key_of);
        using Step = typename decltype(keyed)::Step;
        using K = typename Step::K;
        auto& output = keyed.template AddOutput<D>();
        Step& step = keyed.step();
        keyed.OnBatch([&step, &output, keep_for, key_of = std::move(key_of)](
                          const CapabilityRef<T>& time, Batch<D>& batch) mutable {
          auto session = output.SessionAt(time);
          const absl::Time now = step.Now();
          const auto key_at = internal::KeysOf<D>(batch, key_of);
          step.states().PeekEach(batch.size(), key_at, [&](size_t i, const int64_t* end) {
            if (end != nullptr && now < absl::FromUnixNanos(*end)) return;
            const K k(key_at(i));
            if (end != nullptr) step.CancelTimer(k, absl::FromUnixNanos(*end));
            const absl::Time new_end = now + keep_for;
            step.states().At(k) = absl::ToUnixNanos(new_end);
            step.SetTimer(k, new_end);
            session.Give(batch.Take(i));
          });
        });
        keyed.OnClockTimer([&step](const CapabilityRef<T>&, const K& k, absl::Time at) {
          const int64_t* end = step.states().Find(k);
          if (end != nullptr && *end == absl::ToUnixNanos(at)) step.states().Erase(k);
        });
        keyed.KeepClockTimersAtEnd();
        return keyed.Build(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_DEDUPLICATE_H_
