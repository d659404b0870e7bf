#ifndef HEADWAY_ENGINE_STORE_STORE_H_
#define HEADWAY_ENGINE_STORE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "progress/timestamp.h"

// The store of a run with recovery: where the snapshots of its epochs are kept. A store has a fixed
// number of partitions, each of an equal range of the 64-bit routing hash (RouteHash). A partition
// holds sorted runs of blocks. docs/recovery-format.md describes the contents.
//
// To keep snapshots elsewhere, derive from RecoveryStore and StorePartition.

namespace headway {

// Rows of state in the order of (hash, key, part), as they are stored (engine/store/block.h).
struct StoredBlock {
  uint64_t first_hash = 0;
  uint64_t last_hash = 0;
  uint32_t row_count = 0;
  std::string bytes = {};
};

// A sorted run: rows of one step, each with the last change of its key in a range of epochs.
struct StoredRun {
  int64_t id = 0;     // unique in its partition; given by the partition when the run is added
  uint32_t step = 0;  // its number in PartitionContents::steps
  Epoch first_epoch = 0;
  Epoch last_epoch = 0;
  bool is_base = false;  // it has the state of all keys up to last_epoch, and no tombstones
  uint64_t row_count = 0;
  uint64_t byte_count = 0;    // of its blocks
  int64_t written_at_ms = 0;  // since 1970
};

// A start of the cluster: of a run (an execution), or a restart within it.
struct Generation {
  uint64_t number = 0;     // from 1, over all executions
  uint64_t execution = 0;  // from 1
  Epoch resume_epoch = 0;
  int32_t worker_count = 0;
  int64_t started_at_ms = 0;  // since 1970
};

// A step with state, and its number in the runs of a partition.
struct StoredStep {
  uint32_t number = 0;
  std::string id = {};  // the dataflow's name, a dot, the full step id
};

// A partition without its blocks.
struct PartitionContents {
  int32_t index = 0;
  int32_t count = 0;          // of partitions in the store
  std::string store_id = {};  // random; the same in all partitions of a store
  Epoch durable_end = 0;      // all snapshots of earlier epochs are in the partition
  Epoch committed_end = 0;    // earlier epochs are committed everywhere, as far as it knows
  std::vector<Generation> generations = {};  // ascending
  std::vector<StoredStep> steps = {};
  std::vector<StoredRun> runs = {};  // by step, then by epochs
};

// A change of a partition, which is applied as a whole or not at all.
struct PartitionChange {
  // Of the writer. The change is refused with Aborted if the partition has a later one.
  uint64_t generation = 0;

  struct NewRun {
    StoredRun run;  // its id is ignored
    std::vector<StoredBlock> blocks;
  };
  // A new generation. Runs with its resume epoch, or later ones, are removed: a process of an
  // earlier generation may have added them since ReadContents.
  std::optional<Generation> begins = std::nullopt;
  std::vector<StoredStep> new_steps = {};
  std::vector<NewRun> new_runs = {};
  std::vector<int64_t> removed_runs = {};
  std::vector<uint32_t> removed_steps = {};
  std::vector<StoredStep> renamed_steps = {};  // by number
  std::vector<uint64_t> removed_generations = {};
  std::optional<Epoch> durable_end = std::nullopt;
  std::optional<Epoch> committed_end = std::nullopt;
};

// One partition of a store. Used by one thread at a time.
class StorePartition {
 public:
  virtual ~StorePartition() = default;

  // "partition 3 of the recovery store in 'DIR'", for messages.
  virtual std::string Describe() const = 0;

  // Errors name the partition. DataLoss: it is damaged. FailedPrecondition: its format is newer.
  virtual absl::StatusOr<PartitionContents> ReadContents() = 0;

  // The blocks of a run, without their bytes, in order.
  virtual absl::StatusOr<std::vector<StoredBlock>> ListBlocks(int64_t run) = 0;
  // Block `number` of a run. NotFound: the run is gone.
  virtual absl::StatusOr<std::string> ReadBlock(int64_t run, size_t number) = 0;

  // Returns when the change is durable. ResourceExhausted: the disk is full. PermissionDenied: it
  // is read-only. Aborted: another cluster, or a later generation, has taken the partition over.
  // Unavailable: the store cannot be reached; the change may or may not have been applied.
  //
  // A change may be applied again, with the same result: a new run replaces a run of the same step
  // and epochs, and removals of runs that are gone have no effect.
  virtual absl::Status Apply(const PartitionChange& change) = 0;
};

// A place for the partitions of a store. Thread safe. Copies of a pointer to it are shared by the
// processes that a run spawns, so it holds no connections and no open files: partitions do.
class RecoveryStore {
 public:
  virtual ~RecoveryStore() = default;

  // "the recovery store in 'DIR'", for messages.
  virtual std::string Describe() const = 0;

  // The number of partitions; 0 if the store does not exist yet. InvalidArgument: partitions are
  // missing or there twice, or belong to different stores; the message names them.
  virtual absl::StatusOr<int> PartitionCount() = 0;
  // Makes an empty store of `count` partitions, 1 or more. `store_id` is a new random text
  // (RandomStoreId). FailedPrecondition: there is a store. A crash leaves no store or all of it.
  virtual absl::Status Create(int count, std::string_view store_id) = 0;

  // Opens a partition to read it.
  virtual absl::StatusOr<std::unique_ptr<StorePartition>> OpenToRead(int index) = 0;
  // Opens a partition to write it, and locks it until it is destroyed. `holder` is text about the
  // run. FailedPrecondition: another program has the lock; the message has its text. `takes_over`:
  // a lock with the same text does not refuse the call. Its holder is a lost process of the same
  // run, which may still run: its changes are refused when a later generation has begun.
  virtual absl::StatusOr<std::unique_ptr<StorePartition>> OpenToWrite(int index,
                                                                      std::string_view holder,
                                                                      bool takes_over) = 0;
};

// 32 hexadecimal digits from the random numbers of the system.
std::string RandomStoreId();

// A store of SQLite files in a directory, for processes on one machine: part-0.sqlite3,
// part-1.sqlite3, .... Create makes the directory too.
std::shared_ptr<RecoveryStore> StoreInDirectory(std::string directory);

// A store in a PostgreSQL database, for clusters without a shared disk. `uri` is a connection
// string of libpq, such as "postgresql://user@host/database?options=...". Its tables have names
// that begin with "headway_". `name` tells several stores in a database apart; if it is empty, the
// store has the name that the query of a URI has as `headway_store=NAME`, or "main".
//
// While the server is away, interrupted calls are repeated for 30 s (`headway_timeout=10s` in
// the query of a URI). A server that answers neither a call nor a new connection for so long counts
// as away. Before the first connection a server that is away is an error at once.
// Without libpq, every call is Unimplemented.
std::shared_ptr<RecoveryStore> StoreInPostgres(std::string_view uri, std::string name = "");

// The store that a flag names: a directory, or a URI of PostgreSQL (its query may have a
// `headway_store=NAME`).
std::shared_ptr<RecoveryStore> StoreAt(std::string_view place);

}  // namespace headway

#endif  // HEADWAY_ENGINE_STORE_STORE_H_
