// Sinks of partitions: who writes which, when they are flushed, and where a resumed run continues.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// The partitions that a sink writes, as a file system that outlives the run. Thread safe.
struct Shelf {
  std::mutex mutex;
  std::map<std::string, std::vector<int64_t>> written;
  std::map<std::string, std::set<int>> workers;       // that opened it
  std::map<std::string, std::vector<size_t>> opened;  // the lengths at which it was
  std::multiset<std::string> flushes;
};

// Numbers by their last digit. Opening a partition at a position cuts it there.
struct ByDigit {
  std::string PartitionOf(int64_t number) const { return "digit " + std::to_string(number % 10); }

  struct Writer {
    absl::Status Write(int64_t number) {
      buffer.push_back(number);
      return absl::OkStatus();
    }
    absl::Status Flush() {
      std::lock_guard lock(shelf->mutex);
      std::vector<int64_t>& written = shelf->written[name];
      written.insert(written.end(), buffer.begin(), buffer.end());
      length += buffer.size();
      buffer.clear();
      shelf->flushes.insert(name);
      return absl::OkStatus();
    }
    std::string Snapshot() const { return std::to_string(length); }

    std::shared_ptr<Shelf> shelf;
    std::string name;
    size_t length;
    std::vector<int64_t> buffer = {};
  };

  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string& partition,
                                       const std::optional<std::string>& position) const {
    std::lock_guard lock(shelf->mutex);
    const size_t length = position.has_value() ? std::stoul(*position) : 0;
    CHECK(length <= shelf->written[partition].size());
    shelf->written[partition].resize(length);
    shelf->workers[partition].insert(context.worker_index);
    shelf->opened[partition].push_back(length);
    return Writer{shelf, partition, length};
  }

  std::shared_ptr<Shelf> shelf = std::make_shared<Shelf>();
};

// The same without partitions.
struct OnePartition {
  using Writer = ByDigit::Writer;
  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string& partition,
                                       const std::optional<std::string>& position) const {
    return all.OpenPartition(context, partition, position);
  }
  ByDigit all;
};

std::vector<int64_t> Range(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

RunOptions OneRecordPerEpoch(int workers, Epoch first = 0) {
  return {.worker_count = workers,
          .epoch_config = TestingEpochConfig{},
          .first_epoch = first,
          .apply_in_epoch_order = true};
}

TEST_CASE("all records of a partition are written by one worker") {
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const ByDigit sink;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(50)) | Output("out", sink);
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(sink.shelf->written.size() == 10);
    for (const auto& [name, numbers] : sink.shelf->written) {
      CHECK(numbers.size() == static_cast<size_t>(5 * shape.total()));
      CHECK(sink.shelf->workers[name] == std::set<int>{RouteHash(StableHash(name), shape.total())});
    }
  }
}

TEST_CASE("a sink that names no partitions has one, which worker 0 writes") {
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const OnePartition sink;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(50)) | Output("out", sink);
    });
    CheckOk(RunInShape(flow, shape));
    REQUIRE(sink.all.shelf->written.size() == 1);
    const std::string name = sink.all.shelf->written.begin()->first;
    CHECK(sink.all.shelf->written[name].size() == static_cast<size_t>(50 * shape.total()));
    CHECK(sink.all.shelf->workers[name] == std::set<int>{0});
  }
}

// Runs the numbers from 0 to 59 into a sink with 1, 3, 2 and 8 workers. Each run but the last dies
// after the commit of its tenth epoch, when it has written more.
template <class Sink>
void ResumeWithOtherWorkers(const Sink& sink, Shelf& shelf, SnapshotStore& store) {
  Epoch first = 0;
  for (int workers : {1, 3, 2, 8}) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Range(60))) | Output("out", sink);
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, OneRecordPerEpoch(workers, first)));
    std::vector<int64_t> all;
    for (const auto& [name, numbers] : shelf.written) {
      CHECK(std::ranges::is_sorted(numbers));
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
    std::sort(all.begin(), all.end());
    CHECK(all == Range(60));
    store.Cut(first + 9);
    first += 10;
  }
}

TEST_CASE("a run that resumes with another number of workers writes each record once, in order") {
  SnapshotStore store;
  const ByDigit sink;
  ResumeWithOtherWorkers(sink, *sink.shelf, store);
  // Ten records in an epoch each: each partition has one more record at each commit.
  for (const auto& [name, lengths] : sink.shelf->opened) {
    CHECK(lengths == std::vector<size_t>{0, 1, 2, 3});
  }
  SnapshotStore of_one;
  const OnePartition together;
  ResumeWithOtherWorkers(together, *together.all.shelf, of_one);
  CHECK(together.all.shelf->opened.begin()->second == std::vector<size_t>{0, 10, 20, 30});
}

TEST_CASE("an epoch flushes the partitions that it wrote to, and stores their positions alone") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    SnapshotStore store;
    const ByDigit sink;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Range(30))) | Output("out", sink);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, OneRecordPerEpoch(workers)));
    size_t positions = 0;
    for (const SnapshotStore::Change& change : store.changes()) {
      if (change.step_id != "out") continue;
      ++positions;
      CHECK(change.KeyText() == "digit " + std::to_string(change.epoch % 10));
      CHECK(change.hash == StableHash(change.KeyText()));
    }
    CHECK(positions == 30);
    CHECK(sink.shelf->flushes.size() == 30);
  }
}

TEST_CASE("partitions with a position are opened at the start, though no record comes") {
  SnapshotStore store;
  const ByDigit sink;
  auto run = [&](int64_t count, int workers, Epoch first) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Range(count))) | Output("out", sink);
      store.RestoreInto(scope);
      store.Listen(scope);
    });
    CheckOk(RunMain(flow, OneRecordPerEpoch(workers, first)));
  };
  run(10, 1, 0);
  // These were written by the dead run after its last commit.
  for (auto& [name, numbers] : sink.shelf->written) numbers.push_back(-1);
  run(10, 3, 100);
  for (const auto& [name, numbers] : sink.shelf->written) CHECK(numbers.size() == 1);
}

// Flushes that take several calls.
struct Slow : ByDigit {
  struct Writer : ByDigit::Writer {
    absl::StatusOr<FlushState> Flush() {
      if (calls++ % 4 == 0) {
        std::lock_guard lock(shelf->mutex);
        *most = std::max(*most, ++*pending);
      }
      if (calls % 4 != 0) return FlushState::Pending(absl::Nanoseconds(1));
      const absl::Status status = ByDigit::Writer::Flush();
      if (!status.ok()) return status;
      --*pending;
      return FlushState::Done();
    }
    std::shared_ptr<int> pending;
    std::shared_ptr<int> most;
    int calls = 0;
  };
  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string& partition,
                                       const std::optional<std::string>& position) const {
    absl::StatusOr<ByDigit::Writer> writer = ByDigit::OpenPartition(context, partition, position);
    return Writer{*writer, pending, most};
  }
  std::shared_ptr<int> pending = std::make_shared<int>(0);
  std::shared_ptr<int> most = std::make_shared<int>(0);
};

TEST_CASE("the pending flushes of all partitions run at the same time") {
  const Slow sink;
  SnapshotStore store;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(Range(100))) | Output("out", sink);
    store.Listen(scope);
  });
  CheckOk(RunMain(flow, {.epoch_config = RecordCountEpochConfig{.records_per_epoch = 50},
                         .apply_in_epoch_order = true}));
  CHECK(*sink.most == 10);
  CHECK(*sink.pending == 0);
  for (const auto& [name, numbers] : sink.shelf->written) CHECK(numbers.size() == 10);
  // Positions are taken when all flushes of the epoch are done.
  size_t positions = 0;
  for (const SnapshotStore::Change& change : store.changes()) {
    if (change.step_id == "out") ++positions;
  }
  CHECK(positions == 20);
}

// A partition that cannot be opened.
struct Broken : ByDigit {
  absl::StatusOr<Writer> OpenPartition(const SinkContext& context, const std::string& partition,
                                       const std::optional<std::string>& position) const {
    if (partition == "digit 7") return absl::PermissionDeniedError("cannot open " + partition);
    return ByDigit::OpenPartition(context, partition, position);
  }
};

TEST_CASE("a partition that cannot be opened is an error of the step") {
  for (int workers : kWorkerCounts) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(Range(20))) | Output("out", Broken());
    });
    CheckError(RunMain(flow, {.worker_count = workers}), absl::StatusCode::kPermissionDenied,
               {"step 'out'", "on worker ", "cannot open digit 7"});
  }
}

}  // namespace
}  // namespace headway
