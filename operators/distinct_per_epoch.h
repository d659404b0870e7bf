#ifndef HEADWAY_OPERATORS_DISTINCT_PER_EPOCH_H_
#define HEADWAY_OPERATORS_DISTINCT_PER_EPOCH_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_per_epoch.h"

namespace headway {

// Keeps the first record of each key and epoch: Stream<D> stays Stream<D>. key(record) is the key;
// by default the record itself. A record that is kept is emitted at once. In a nested scope the
// same is done for each time.
//
// The step exchanges its input by key. It keeps the keys of each epoch that is not complete;
// snapshots contain nothing of them. An exception of `key` ends the run with an error that names
// the step. A record costs a lookup of its key.
template <class KeyFn = std::identity>
auto DistinctPerEpoch(std::string step_id, KeyFn key = {}) {
  return DefineStep(
      std::move(step_id), std::move(key),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, KeyFn key_of) {
        HEADWAY_REQUIRE_KEY_FUNCTION("DistinctPerEpoch", KeyFn, D);
        using Tables = internal::TimeTables<internal::KeyOf<KeyFn, D>, bool, T>;
        pact::Exchange<KeyFn> by_key{key_of};
        return stream | UnaryNotify<D>(
                            std::string(id), std::move(by_key),
                            [key_of = std::move(key_of)](Capability<T>, Notificator<T>&) {
                              return [key_of, first = internal::FirstRecord(), tables = Tables()](
                                         NodeInput<D, T>& in, NodeOutput<D, T>& out,
                                         Notificator<T>& notificator) mutable {
                                in.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
                                  auto session = out.SessionAt(time);
                                  internal::AddEach<D>(
                                      tables.At(time, in.watermark(), notificator), batch, key_of,
                                      first, [&](size_t i, bool) { session.Give(batch.Take(i)); });
                                });
                                while (const auto time = notificator.Next(in.frontier())) {
                                  tables.Take(time->time());
                                }
                              };
                            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_DISTINCT_PER_EPOCH_H_
