#ifndef HEADWAY_OPERATORS_ENRICH_CACHED_H_
#define HEADWAY_OPERATORS_ENRICH_CACHED_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/state/flat_table.h"
#include "engine/step/define_step.h"
#include "engine/step/transform.h"
#include "operators/value_or_status.h"

namespace headway {

// The bounds of the cache of EnrichCached, on each worker.
struct CacheOptions {
  // Age at which a value is looked up again.
  absl::Duration time_to_live = absl::InfiniteDuration();
  size_t max_entries = 10'000;  // the least recently used one makes room for another; at least 1
};

// The cache of an EnrichCached on a worker: values under keys, looked up when they are missing or
// too old. Belongs to the mapper of the step.
template <class K, class V>
class LookupCache {
  // A key as it is asked for.
  using KeyView = std::conditional_t<std::is_same_v<K, std::string>, std::string_view, K>;
  using Lookup = absl::AnyInvocable<V(const K& key)>;

 public:
  LookupCache(const CacheOptions& options, Clock& clock, Lookup look_up)
      : options_(options), clock_(clock), look_up_(std::move(look_up)) {}
  LookupCache(const LookupCache&) = delete;
  LookupCache& operator=(const LookupCache&) = delete;

  // The value of a key; calls the getter if it is missing or too old. Valid until the mapper
  // returns, provided that it asks for at most `max_entries` keys and removes none.
  const V& Get(const KeyView& key) {
    if (const auto* found = index_.Find(key); found != nullptr) {
      const auto entry = *found;
      if (now_nanos_ - entry->stored_nanos >= time_to_live_nanos_ && HasLimit()) {
        entry->value = LookUp(entry->key);
        entry->stored_nanos = now_nanos_;
      }
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->value;
    }
    K owned(key);
    V value = LookUp(owned);
    if (entries_.size() >= options_.max_entries) {
      index_.Erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({std::move(owned), std::move(value), now_nanos_});
    index_.At(entries_.front().key) = entries_.begin();
    return entries_.front().value;
  }

  // Forgets a value, so that the next Get looks it up. Returns false if the key has no value here.
  bool Remove(const KeyView& key) {
    const auto* found = index_.Find(key);
    if (found == nullptr) return false;
    const auto entry = *found;
    index_.Erase(key);  // first: `key` may be that of the entry
    entries_.erase(entry);
    return true;
  }

  size_t size() const { return entries_.size(); }

  // For the step: a batch begins.
  void ReadClock() {
    if (HasLimit()) now_nanos_ = clock_.NowNanos();
  }

 private:
  struct Entry {
    K key;
    V value;
    int64_t stored_nanos;
  };
  using Entries = std::list<Entry>;  // most recently used first; entries stay where they are

  bool HasLimit() const { return options_.time_to_live != absl::InfiniteDuration(); }
  V LookUp(const K& key) {
    V value = look_up_(key);
    ReadClock();  // the getter may have taken long
    return value;
  }

  const CacheOptions options_;
  Clock& clock_;
  Lookup look_up_;
  const int64_t time_to_live_nanos_ = absl::ToInt64Nanoseconds(options_.time_to_live);
  int64_t now_nanos_ = 0;
  Entries entries_;
  FlatTable<K, typename Entries::iterator> index_;
};

// Replaces each record by mapper(cache, record), where cache.Get(key) is the value that
// getter(const K& key) returned for the key: Stream<D> becomes Stream<R>, where R is the type of
// the mapper's result. K is named at the call: EnrichCached<std::string>("prices", getter, mapper).
// The mapper takes (LookupCache<K, V>& cache, record), or auto& for the cache; V is the type of the
// getter's result.
//
// The getter is called on the worker's thread, which does nothing else meanwhile: use AsyncMap for
// one that takes more than a millisecond, unless almost all of its calls are saved. It returns V or
// absl::StatusOr<V>. An error, and an exception of either function, ends the run with an error that
// names the step, and is not kept. Return a std::optional to remember that a key has no value.
//
// Each worker has a cache of its own, with up to `max_entries` values, so several workers may look
// up the same key. An Exchange by the key before the step makes that one. A value is looked up
// again when it is `time_to_live` old by the run's clock. The cache is not part of a snapshot: it
// is empty at the start of each run. The step exchanges nothing, and emits nothing at the end of
// input.
//
// A record costs a look into a hash table. Only a miss allocates. InvalidArgument: `max_entries` is
// 0, or the time to live is not positive.
template <class K, class Getter, class Mapper>
auto EnrichCached(std::string step_id, Getter getter, Mapper mapper, CacheOptions options = {}) {
  return DefineStep(
      std::move(step_id), std::move(getter), std::move(mapper), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Getter get, Mapper map,
                           const CacheOptions& of_step) {
        static_assert(std::is_invocable_v<Getter&, const K&>,
                      "EnrichCached: the getter must take one key, and return its value or an "
                      "absl::StatusOr of it");
        using Result = std::remove_cvref_t<std::invoke_result_t<Getter&, const K&>>;
        static_assert(!std::is_void_v<Result>, "EnrichCached: the getter must return the value");
        using V = typename internal::ValueOrStatus<Result>::Value;
        using Cache = LookupCache<K, V>;
        static_assert(
            std::is_invocable_v<Mapper&, Cache&, TakeType<D>>,
            "EnrichCached: the mapper must take (LookupCache<Key, Value>& cache, record), "
            "with std::string_view for the strings of the record");
        static_assert(!std::is_void_v<std::invoke_result_t<Mapper&, Cache&, TakeType<D>>>,
                      "EnrichCached: the mapper must return the new record");
        using R = RecordOfT<std::invoke_result_t<Mapper&, Cache&, TakeType<D>>>;
        internal::Graph& graph = stream.scope().graph();
        std::string full_id = stream.scope().FullId(id);
        if (of_step.max_entries == 0 || of_step.time_to_live <= absl::ZeroDuration()) {
          graph.errors().FailAndThrow(
              full_id, absl::InvalidArgumentError("its cache must have room for an entry or more, "
                                                  "and a time to live that is positive"));
        }
        auto check = [&graph, full_id](const absl::Status& status) {
          if (!status.ok()) graph.errors().FailAndThrow(full_id, status);
        };
        auto look_up = [get = std::move(get), check = std::move(check)](const K& key) mutable -> V {
          if constexpr (std::is_same_v<Result, V>) {
            return get(key);
          } else {
            Result result = get(key);
            check(result.status());
            return *std::move(result);
          }
        };
        auto cache =
            std::make_unique<Cache>(of_step, graph.worker().run().clock(), std::move(look_up));
        return Transform<R>(stream, id,
                            [cache = std::move(cache), map = std::move(map)](
                                Batch<D>& batch, TransformOutput<R, T>& out) mutable {
                              cache->ReadClock();
                              for (size_t i = 0; i < batch.size(); ++i) {
                                out.Give(map(*cache, batch.Take(i)));
                              }
                            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_ENRICH_CACHED_H_
