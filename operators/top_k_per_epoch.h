#ifndef HEADWAY_OPERATORS_TOP_K_PER_EPOCH_H_
#define HEADWAY_OPERATORS_TOP_K_PER_EPOCH_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/step/define_step.h"
#include "operators/fold_per_epoch.h"

namespace headway {

// Finds the `k` values of each key and epoch with the largest by(value), by default the largest
// themselves: Stream<std::pair<K, V>> becomes Stream<std::pair<K, std::vector<V>>>, in descending
// order. Of equal ones the earlier comes first. (key, values) is emitted in the epoch, when that is
// complete. In a nested scope the same is done for each time.
//
// The top of the whole stream is that of a stream with one key. A first TopKPerEpoch by some other
// key, such as a number of shards, leaves little for the worker of that key:
//
//   pages | CountPerEpoch("visits") |
//       KeyOn("shard", [](const auto& visits) { return StableHash(visits.first) % 64; }) |
//       TopKPerEpoch("top of shard", 10, CountOf()) | ...
//
// The step exchanges its input by key. For state, ends and exceptions see fold_per_epoch.h. A
// record costs a lookup of its key, and one that enters the list up to `k` moves. The build fails
// with InvalidArgument if `k` is zero.
template <class By = std::identity>
auto TopKPerEpoch(std::string step_id, size_t k, By by = {}) {
  return DefineStep(
      std::move(step_id), k, std::move(by),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, size_t size,
                           By by_value) {
        HEADWAY_REQUIRE_PAIRS("TopKPerEpoch", D);
        using Types = internal::PairTypes<D>;
        static_assert(internal::Orders<By, typename Types::V> &&
                          internal::Orders<By, typename Types::TakenValue>,
                      "TopKPerEpoch: the function must take one value, with std::string_view for "
                      "its strings, and return something that < compares");
        internal::RequireArgument(stream.scope(), id, size > 0,
                                  "it keeps the top 0 values; keep one or more");
        return internal::EmitPerEpoch(
            stream, id, FirstOfPair(),
            internal::TopValues<typename Types::V, By>(size, std::move(by_value)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_TOP_K_PER_EPOCH_H_
