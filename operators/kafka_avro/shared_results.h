#ifndef HEADWAY_OPERATORS_KAFKA_AVRO_SHARED_RESULTS_H_
#define HEADWAY_OPERATORS_KAFKA_AVRO_SHARED_RESULTS_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace headway::internal {

// Results of calls that are made once for each key. A success is kept for ever. Threads that ask
// for a key while its call runs share the result, also a failure; the next one after a failure
// calls again.
//
// Thread safe.
template <class Key, class Value>
class SharedResults {
 public:
  // `call` returns absl::StatusOr<Value>, and runs without a lock.
  template <class F>
  absl::StatusOr<Value> Get(const Key& key, F&& call) {
    std::shared_ptr<Entry> entry;
    {
      const absl::MutexLock lock(&mutex_);
      std::shared_ptr<Entry>& known = entries_[key];
      if (known != nullptr) {
        entry = known;
        mutex_.Await(absl::Condition(
            +[](Entry* waited) { return waited->result.has_value(); }, entry.get()));
        return *entry->result;
      }
      known = std::make_shared<Entry>();
      entry = known;
    }
    absl::StatusOr<Value> result = absl::AbortedError("the thread that asked first has failed");
    {
      const absl::Cleanup tell = [&] {  // also if the call throws
        const absl::MutexLock lock(&mutex_);
        entry->result = result;
        if (!result.ok()) entries_.erase(key);
      };
      result = std::forward<F>(call)();
    }
    return result;
  }

 private:
  struct Entry {
    std::optional<absl::StatusOr<Value>> result;  // none: the call runs
  };

  absl::Mutex mutex_;
  absl::flat_hash_map<Key, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_KAFKA_AVRO_SHARED_RESULTS_H_
