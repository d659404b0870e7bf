#ifndef HEADWAY_TESTS_ENGINE_STORE_MEMORY_STORE_H_
#define HEADWAY_TESTS_ENGINE_STORE_MEMORY_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/store/store.h"

namespace headway::internal {

// A recovery store in memory, which counts the calls of the store and its partitions, and can lose
// them at any one. Several runs of a test share it, one after the other. Thread safe; a partition
// is used by one thread at a time.
class MemoryStore : public RecoveryStore {
 public:
  // From call number `call` on (the first one is 0) every call fails with Unavailable, until
  // Restart. `after`: the effect of that call itself stays, only its answer is lost.
  void CrashAt(int64_t call, bool after);
  // Opens the store again after a crash. The partitions that were open before stay lost.
  void Restart();

  // The number of calls since the store was made, those that failed included.
  int64_t calls() const;
  // The bytes of blocks in all changes that were applied.
  uint64_t bytes_written() const;

  std::string Describe() const override { return "the recovery store in memory"; }
  absl::StatusOr<int> PartitionCount() override;
  absl::Status Create(int count, std::string_view store_id) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToRead(int index) override;
  absl::StatusOr<std::unique_ptr<StorePartition>> OpenToWrite(int index, std::string_view holder,
                                                              bool takes_over) override;

 private:
  friend class MemoryPartition;

  struct Run {
    StoredRun run;
    std::vector<StoredBlock> blocks;
  };
  struct Partition {
    PartitionContents contents;  // without its runs
    std::map<int64_t, Run> runs;
    int64_t next_run = 1;
    std::optional<std::string> holder;  // of the lock
  };
  struct Crash {
    int64_t call = 0;
    bool after = false;
  };

  // Counts a call and runs `action`, unless the store has crashed. Holds the mutex.
  template <class Action>
  auto Call(int64_t incarnation, Action action) -> decltype(action());
  absl::StatusOr<std::unique_ptr<StorePartition>> Open(int index,
                                                       std::optional<std::string_view> holder,
                                                       bool takes_over);
  static absl::Status Apply(const PartitionChange& change, Partition& partition);

  mutable std::recursive_mutex mutex_;  // a partition may close within a call
  std::vector<Partition> partitions_;
  int64_t calls_ = 0;
  int64_t incarnation_ = 0;  // counts restarts
  std::optional<Crash> crash_;
  uint64_t bytes_written_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_ENGINE_STORE_MEMORY_STORE_H_
