// Sources of partitions: the division among workers, positions under another number of workers,
// partitions that appear and vanish.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
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

using Lines = std::vector<std::string>;

// Each partition yields its name with the numbers from 0 to `count` - 1.
struct Letters {
  using Record = std::string;

  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
      for (; next < count; ++next) {
        if (!out.WantsMore()) return SourceState::More();
        out.Emit(name + std::to_string(next));
      }
      return SourceState::Done();
    }
    std::string Snapshot() const { return std::to_string(next); }

    std::string name;
    int64_t count;
    int64_t next;
    std::shared_ptr<void> open = nullptr;
  };

  absl::StatusOr<Lines> Partitions(const SourceContext& context) {
    CHECK(context.worker_index == 0);
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       std::optional<std::string> position) {
    return Reader{partition, count, position.has_value() ? std::stoll(*position) : 0};
  }

  Lines names;
  int64_t count = 10;
};

struct ForgettingLetters : Letters {
  VanishedPartitions vanished_partitions() const { return VanishedPartitions::kForget; }
};

RunOptions OneRecordPerEpoch(int workers, Epoch first = 0) {
  return {.worker_count = workers,
          .epoch_config = TestingEpochConfig{},
          .first_epoch = first,
          .apply_in_epoch_order = true};
}

// The records of a source by the epochs in which they were emitted.
using Seen = Collected<std::pair<Epoch, std::string>>;

// Runs the source, restores the store's snapshots into it, and adds its own.
template <class Source>
absl::Status RunSource(Source source, RunOptions options, SnapshotStore& store, Seen& seen) {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("letters", source) | CollectWithTime<std::string, Epoch>("collect", seen);
    store.RestoreInto(scope);
    store.Listen(scope);
  });
  return RunMain(flow, std::move(options));
}

Lines AllLetters(const Letters& letters) {
  Lines all;
  for (const std::string& name : letters.names) {
    for (int64_t i = 0; i < letters.count; ++i) all.push_back(name + std::to_string(i));
  }
  std::sort(all.begin(), all.end());
  return all;
}

Lines LinesUntil(const Seen& seen, Epoch last) {
  Lines lines;
  for (const auto& [epoch, line] : seen.InOrder()) {
    if (epoch <= last) lines.push_back(line);
  }
  return lines;
}

TEST_CASE("each partition is read by one worker, and workers have equally many") {
  const Letters letters{{"a", "b", "c", "d", "e", "f", "g"}};
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    Collected<std::pair<std::string, int>> read;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("letters", letters) |
          Inspect("collect", [&read, worker = scope.worker_index()](std::string_view line) {
            read.Add({std::string(line), worker});
          });
    });
    CheckOk(RunInShape(flow, shape));
    Lines lines;
    std::map<char, int> worker_of;
    std::map<int, std::set<char>> partitions;
    for (const auto& [line, worker] : read.Sorted()) {
      lines.push_back(line);
      CHECK(worker_of.try_emplace(line[0], worker).first->second == worker);
      partitions[worker].insert(line[0]);
    }
    CHECK(lines == AllLetters(letters));
    for (const auto& [worker, names] : partitions) {
      CHECK(names.size() <= 7 / partitions.size() + 1);
      CHECK(names.size() >= 7 / partitions.size());
    }
  }
}

TEST_CASE("a run that resumes with another number of workers repeats and loses nothing") {
  const Letters letters{{"a", "b", "c", "d", "e"}};
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{3, 1, 8}}) {
    SnapshotStore store;
    Lines lines;
    Epoch first = 0;
    for (size_t run = 0; run < workers.size(); ++run) {
      CAPTURE(workers[run]);
      Seen seen;
      CheckOk(RunSource(letters, OneRecordPerEpoch(workers[run], first), store, seen));
      // The run dies after the commit of this epoch, or runs to its end.
      const Epoch last = run + 1 < workers.size() ? first + 4 : ~Epoch{0};
      store.Cut(last);
      const Lines committed = LinesUntil(seen, last);
      lines.insert(lines.end(), committed.begin(), committed.end());
      first = last + 1;
    }
    std::sort(lines.begin(), lines.end());
    CHECK(lines == AllLetters(letters));
  }
}

TEST_CASE("a snapshot has the positions of the partitions that moved, under their names") {
  const Letters letters{{"a", "b"}, 3};
  SnapshotStore store;
  Seen seen;
  CheckOk(RunSource(letters, OneRecordPerEpoch(1), store, seen));
  // The first snapshot has both readers. They take turns, so one moves in an epoch. At the end both
  // are done at their ends.
  std::map<std::string, std::string> positions;
  for (const SnapshotStore::Change& change : store.changes()) {
    const std::string position(reinterpret_cast<const char*>(change.state->data()),
                               change.state->size());
    CHECK(positions[change.KeyText()] != position);
    positions[change.KeyText()] = position;
    CHECK(change.hash == StableHash(change.KeyText()));
  }
  CHECK(store.changes().size() == 7);
  CHECK(positions == std::map<std::string, std::string>{{"a", "3"}, {"b", "3"}});
}

TEST_CASE("a run whose input has ended continues when its partitions have more") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    SnapshotStore store;
    Seen seen;
    CheckOk(RunSource(Letters{{"a", "b", "c"}, 4}, OneRecordPerEpoch(workers), store, seen));
    // The old ones grew, and there are new ones.
    const Letters more{{"d", "a", "b", "e", "c"}, 6};
    CheckOk(RunSource(more, OneRecordPerEpoch(3, 1000), store, seen));
    Lines lines = LinesUntil(seen, ~Epoch{0});
    std::sort(lines.begin(), lines.end());
    CHECK(lines == AllLetters(more));
  }
}

TEST_CASE("a partition that vanished fails the run, unless the source forgets it") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    SnapshotStore store;
    Seen seen;
    CheckOk(RunSource(Letters{{"a", "b", "c"}, 4}, OneRecordPerEpoch(workers), store, seen));
    Seen none;
    CheckError(RunSource(Letters{{"a", "c"}, 4}, OneRecordPerEpoch(workers, 100), store, none),
               absl::StatusCode::kFailedPrecondition,
               {"step 'letters'", "on worker 0", "partition 'b'", "does not name any more"});
    CHECK(none.size() == 0);
    // Its position is dropped, so it begins again when it comes back.
    CheckOk(RunSource(ForgettingLetters{{{"a", "c"}, 5}}, OneRecordPerEpoch(workers, 100), store,
                      none));
    CHECK(none.size() == 2);
    CheckOk(RunSource(Letters{{"a", "b", "c"}, 5}, OneRecordPerEpoch(2, 200), store, none));
    CHECK(none.size() == 7);
  }
}

TEST_CASE("a name that is listed twice is an error that names it") {
  for (int workers : kWorkerCounts) {
    Dataflow flow("flow",
                  [&](Scope<>& scope) { scope.Input("letters", Letters{{"a", "b", "a"}}); });
    CheckError(RunMain(flow, {.worker_count = workers}), absl::StatusCode::kInvalidArgument,
               {"step 'letters'", "the partition 'a' twice"});
  }
}

// Names one more partition with each listing, until it has named all.
struct Appearing : Letters {
  absl::StatusOr<Lines> Partitions(const SourceContext& context) {
    CHECK(context.worker_index == 0);
    const size_t listed = std::min(names.size(), size_t{1} + static_cast<size_t>((*listings)++));
    return Lines(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed));
  }
  absl::Duration list_interval() const {
    return static_cast<size_t>(*listings) < names.size() ? interval : absl::InfiniteDuration();
  }

  std::shared_ptr<std::atomic<int>> listings = std::make_shared<std::atomic<int>>(0);
  absl::Duration interval = absl::Microseconds(10);
};

TEST_CASE("partitions that appear while a run goes on are read, and divided evenly") {
  const std::vector<EpochConfig> configs{PeriodicEpochConfig{absl::Milliseconds(1)},
                                         TestingEpochConfig{}, RecordCountEpochConfig{3}};
  for (Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    const Appearing letters{{{"a", "b", "c", "d", "e", "f", "g"}, 5}};
    Collected<std::pair<std::string, int>> read;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("letters", letters) |
          Inspect("collect", [&read, worker = scope.worker_index()](std::string_view line) {
            read.Add({std::string(line), worker});
          });
    });
    CheckOk(
        RunInShape(flow, shape, {.epoch_config = configs[static_cast<size_t>(shape.total()) % 3]}));
    Lines lines;
    for (const auto& [line, worker] : read.Sorted()) {
      lines.push_back(line);
      // By the order of their appearance.
      CHECK(worker == (line[0] - 'a') % shape.total());
    }
    CHECK(lines == AllLetters(letters));
  }
}

TEST_CASE("a partition that appeared late is resumed at its position, by any number of workers") {
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{3, 1, 8}}) {
    SnapshotStore store;
    Lines lines;
    Epoch first = 0;
    for (size_t run = 0; run < workers.size(); ++run) {
      CAPTURE(workers[run]);
      // The runs before the last one name the first, two and four partitions more.
      Appearing letters{{{"a", "b", "c", "d", "e", "f", "g"}, 20}};
      letters.names.resize(run == 0 ? 3 : run == 1 ? 5 : 7);
      if (run > 0) *letters.listings = run == 1 ? 2 : 4;
      Seen seen;
      CheckOk(RunSource(letters, OneRecordPerEpoch(workers[run], first), store, seen));
      const Epoch last = run + 1 < workers.size() ? first + 12 : ~Epoch{0};
      store.Cut(last);
      const Lines committed = LinesUntil(seen, last);
      lines.insert(lines.end(), committed.begin(), committed.end());
      first = last + 1;
    }
    std::sort(lines.begin(), lines.end());
    CHECK(lines == AllLetters(Letters{{"a", "b", "c", "d", "e", "f", "g"}, 20}));
  }
}

TEST_CASE("a forgotten partition that comes back at once keeps its new position") {
  // Names "a" alone first, then "b" too, until that is open; or "b" alone, in its last list.
  struct Returning : ForgettingLetters {
    absl::StatusOr<Lines> Partitions(const SourceContext&) {
      if ((*listings)++ == 0) return Lines{"a"};
      return names_once ? Lines{"b"} : Lines{"a", "b"};
    }
    absl::Duration list_interval() const {
      if (names_once) return *listings < 2 ? absl::Microseconds(1) : absl::InfiniteDuration();
      return *is_back ? absl::InfiniteDuration() : absl::Microseconds(1);
    }
    absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string& partition,
                                         std::optional<std::string> position) {
      if (partition == "b") *is_back = true;
      return Letters::OpenPartition(context, partition, std::move(position));
    }
    bool names_once = false;
    std::shared_ptr<std::atomic<int>> listings = std::make_shared<std::atomic<int>>(0);
    std::shared_ptr<std::atomic<bool>> is_back = std::make_shared<std::atomic<bool>>(false);
  };
  for (int repeat = 0; repeat < 8; ++repeat) {
    const int workers = kWorkerCounts[repeat / 2];
    const bool names_once = repeat % 2 == 1;
    CAPTURE(workers);
    CAPTURE(names_once);
    const Letters letters{{"a", "b"}, 4};
    SnapshotStore store;
    Seen seen;
    CheckOk(RunSource(letters, OneRecordPerEpoch(2), store, seen));
    Seen again;
    CheckOk(
        RunSource(Returning{{{{}, 4}}, names_once}, OneRecordPerEpoch(workers, 100), store, again));
    CHECK(LinesUntil(again, ~Epoch{0}) == Lines{"b0", "b1", "b2", "b3"});
    Seen none;
    CheckOk(RunSource(letters, OneRecordPerEpoch(1, 10'000), store, none));
    CHECK(none.size() == 0);
  }
}

TEST_CASE("a source that waits for partitions is stopped at once, whatever its interval is") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Appearing letters{{{"a", "b"}, 3}};
    letters.interval = absl::Hours(1);
    RunOptions options{.worker_count = workers};
    std::atomic<int> seen{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("letters", letters) | Inspect("count", [&](std::string_view) {
        if (++seen == 3) options.stop.RequestStop();
      });
    });
    CheckOk(RunMain(flow, options));
    CHECK(seen == 3);
    CHECK(*letters.listings == 1);
  }
}

TEST_CASE("a worker without partitions does not hold back the others, nor does worker 0") {
  // One record in an epoch, and two epochs in flight: each worker has to close its epochs.
  for (const Lines& names : {Lines{"a", "", "", ""}, Lines{"", "b", "", ""}}) {
    for (int workers : {2, 3}) {
      Appearing letters{{names, 10}};
      letters.interval = absl::Hours(1);
      *letters.listings = 3;
      for (size_t i = 0; i < names.size(); ++i) {
        if (names[i].empty()) letters.names[i] = "empty" + std::to_string(i);
      }
      struct Some : Appearing {
        absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                             const std::optional<std::string>&) {
          return Reader{partition, partition.size() > 1 ? 0 : count, 0};
        }
      };
      letters.names.push_back("never");
      RunOptions options{.worker_count = workers, .epoch_config = RecordCountEpochConfig{1}};
      std::atomic<int> seen{0};
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("letters", Some{letters}) | Inspect("count", [&](std::string_view) {
          if (++seen == 10) options.stop.RequestStop();
        });
      });
      CheckOk(RunMain(flow, options));
      CHECK(seen == 10);
    }
  }
}

TEST_CASE("a name that appears twice in a later list is an error that names it") {
  for (int workers : kWorkerCounts) {
    Dataflow flow("flow",
                  [&](Scope<>& scope) { scope.Input("letters", Appearing{{{"a", "b", "a"}}}); });
    CheckError(RunMain(flow, {.worker_count = workers}), absl::StatusCode::kInvalidArgument,
               {"step 'letters'", "the partition 'a' twice"});
  }
}

TEST_CASE("a hundred thousand partitions, half of which appear late, take linear time") {
  struct Many : Letters {
    struct Reader {
      absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
        if (waits) {
          waits = false;
          return SourceState::Idle(absl::Nanoseconds(1));
        }
        out.Emit("x");
        return SourceState::Done();
      }
      std::string Snapshot() const { return ""; }
      bool waits = true;
    };
    absl::StatusOr<Lines> Partitions(const SourceContext&) {
      Lines list;
      for (int i = 0; i < (listed_half ? 100'000 : 50'000); ++i) list.push_back(std::to_string(i));
      return list;
    }
    absl::Duration list_interval() const {
      return std::exchange(listed_half, true) ? absl::InfiniteDuration() : absl::Milliseconds(1);
    }
    absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                         const std::optional<std::string>&) {
      return Reader();
    }
    mutable bool listed_half = false;
  };
  std::atomic<int> seen{0};
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("many", Many()) | Inspect("count", [&](std::string_view) { ++seen; });
  });
  CheckOk(RunMain(flow, {.worker_count = 2}));
  CHECK(seen == 100'000);
}

// Fails to list its partitions, or to open one.
struct Failing : Letters {
  absl::StatusOr<Lines> Partitions(const SourceContext&) {
    if (names.empty()) return absl::NotFoundError("the directory is gone");
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       const std::optional<std::string>&) {
    return absl::PermissionDeniedError("cannot open " + partition);
  }
};

TEST_CASE("partitions that cannot be listed or opened are errors of the step") {
  for (int workers : kWorkerCounts) {
    for (const Lines& names : {Lines{}, Lines{"a", "b"}}) {
      Dataflow flow("flow", [&](Scope<>& scope) { scope.Input("letters", Failing{{names}}); });
      CheckError(RunMain(flow, {.worker_count = workers}),
                 names.empty() ? absl::StatusCode::kNotFound : absl::StatusCode::kPermissionDenied,
                 {"step 'letters'", "on worker ", names.empty() ? "directory" : "cannot open"});
    }
  }
}

// Counts the partitions that are open.
struct Narrow : Letters {
  int max_open_partitions() const { return 2; }

  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string& partition,
                                       std::optional<std::string> position) {
    absl::StatusOr<Reader> reader = Letters::OpenPartition(context, partition, position);
    *most = std::max<int>(*most, ++*now);
    reader->open = std::shared_ptr<void>(nullptr, [open = now](void*) { --*open; });
    return reader;
  }

  std::shared_ptr<std::atomic<int>> now = std::make_shared<std::atomic<int>>(0);
  std::shared_ptr<std::atomic<int>> most = std::make_shared<std::atomic<int>>(0);
};

TEST_CASE("a source that limits its open partitions reads all of them, in order") {
  Lines names;
  for (char name = 'a'; name <= 'z'; ++name) names.push_back(std::string(1, name));
  Narrow narrow{{names, 5}};
  SnapshotStore store;
  Seen seen;
  CheckOk(RunSource(narrow, OneRecordPerEpoch(1), store, seen));
  Lines lines = LinesUntil(seen, ~Epoch{0});
  CHECK(*narrow.most == 2);
  for (size_t i = 0; i < lines.size(); ++i) CHECK(lines[i][0] <= 'b' + static_cast<char>(i / 5));
  std::sort(lines.begin(), lines.end());
  CHECK(lines == AllLetters(narrow));
}

// One partition never has a record; the others do not wait for it.
struct OneSilent : Letters {
  struct Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
      if (letters.name != "silent") return letters.Poll(out);
      return others->fetch_add(1) < 3 ? SourceState::Idle(absl::Nanoseconds(1))
             : *seen_all              ? SourceState::Done()
                                      : SourceState::Idle(absl::InfiniteDuration());
    }
    std::string Snapshot() const { return letters.Snapshot(); }
    Letters::Reader letters;
    std::shared_ptr<std::atomic<int>> others;
    std::shared_ptr<std::atomic<bool>> seen_all;
  };
  absl::StatusOr<Reader> OpenPartition(const SourceContext& context, const std::string& partition,
                                       const std::optional<std::string>&) {
    *activator = context.activator;
    return Reader{{partition, count, 0}, std::make_shared<std::atomic<int>>(0), seen_all};
  }
  std::shared_ptr<std::atomic<bool>> seen_all = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<ThreadActivator> activator = std::make_shared<ThreadActivator>();
};

TEST_CASE("an idle reader does not hold back the others, and is polled when it is woken") {
  const OneSilent source{{{"a", "silent", "b"}, 100}};
  std::atomic<int> seen{0};
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("letters", source) | Inspect("count", [&](std::string_view) {
      if (++seen < 200) return;
      *source.seen_all = true;
      source.activator->Activate();
    });
  });
  CheckOk(RunMain(flow));
  CHECK(seen == 200);
}

// Closes its epochs itself, after each record.
struct EpochPerRecord : Letters {
  EpochConfig epoch_config() const { return SourceEpochConfig{}; }
  struct Reader : Letters::Reader {
    absl::StatusOr<SourceState> Poll(SourceOutput<std::string>& out) {
      if (next == count) return SourceState::Done();
      out.Emit(name + std::to_string(next++));
      return SourceState::EndEpoch();
    }
  };
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& partition,
                                       const std::optional<std::string>&) {
    return Reader{{partition, count, 0}};
  }
};

TEST_CASE("a reader that closes its epoch closes it for the worker") {
  SnapshotStore store;
  Seen seen;
  CheckOk(RunSource(EpochPerRecord{{{"a", "b", "c"}, 7}}, {}, store, seen));
  const auto records = seen.InOrder();
  REQUIRE(records.size() == 21);
  for (size_t i = 0; i < records.size(); ++i) CHECK(records[i].first == i);
}

TEST_CASE("the position of a TestingSource does not depend on the number of workers") {
  Lines items;
  for (int i = 100; i < 150; ++i) items.push_back(std::to_string(i));
  SnapshotStore store;
  Lines lines;
  Epoch first = 0;
  for (int workers : {1, 3, 2}) {
    Seen seen;
    CheckOk(RunSource(TestingSource(items), OneRecordPerEpoch(workers, first), store, seen));
    const Epoch last = workers == 2 ? ~Epoch{0} : first + 9;
    store.Cut(last);
    const Lines committed = LinesUntil(seen, last);
    lines.insert(lines.end(), committed.begin(), committed.end());
    first = last + 1;
  }
  CHECK(lines == items);
}

TEST_CASE("a source by worker is resumed with its number of workers, and no other") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    SnapshotStore store;
    Collected<int64_t> all;
    auto run = [&](int with, Epoch first) {
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(10)) | CollectInto("collect", all);
        store.RestoreInto(scope);
        store.Listen(scope);
      });
      return RunMain(flow, OneRecordPerEpoch(with, first));
    };
    CheckOk(run(workers, 0));
    store.Cut(3);
    CHECK(all.size() == static_cast<size_t>(10 * workers));
    CheckError(run(workers + 1, 4), absl::StatusCode::kInvalidArgument,
               {"step 'numbers'", "the positions of " + std::to_string(workers) + " workers",
                "resume with " + std::to_string(workers) + " workers"});
    CheckOk(run(workers, 4));
    CHECK(all.size() == static_cast<size_t>(16 * workers));
  }
}

TEST_CASE("a run that is stopped before its partitions are known ends") {
  for (int workers : kWorkerCounts) {
    RunOptions options{.worker_count = workers};
    options.stop.RequestStop();
    Seen seen;
    SnapshotStore store;
    CheckOk(RunSource(Letters{{"a", "b"}}, options, store, seen));
    CHECK(seen.size() == 0);
  }
}

}  // namespace
}  // namespace headway
