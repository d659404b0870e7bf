// Sources of records that a program has, makes or gets on its standard input: TestingSource with
// its marks, ranges, StdinLines; and ManualSink.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"
#include "tests/engine/snapshot_store.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using Items = std::vector<TestingItem<int>>;

// Runs that resume, over one store.
class Runs {
 public:
  // Runs the source. The run dies after the commit of its first `committed` epochs, so only their
  // records count. Each epoch has one record.
  template <class Source>
  absl::Status Run(const Source& source, int workers, std::vector<int>* records,
                   Epoch committed = 1'000'000) {
    Collected<std::pair<Epoch, int>> seen;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("source", source) | CollectWithTime<int, Epoch>("collect", seen);
      store_.RestoreInto(scope);
      store_.Listen(scope);
    });
    absl::Status status = RunMain(flow, {.worker_count = workers,
                                         .epoch_config = TestingEpochConfig{},
                                         .first_epoch = first_,
                                         .apply_in_epoch_order = true});
    first_ += committed;
    store_.Cut(first_ - 1);
    records->clear();
    for (const auto& [epoch, record] : seen.Sorted()) {
      if (epoch < first_) records->push_back(record);
    }
    return status;
  }

 private:
  SnapshotStore store_;
  Epoch first_ = 0;
};

TEST_CASE("a batch of a TestingSource has at most so many records, and the last one the rest") {
  for (const int64_t size : {1, 2, 5, 7, 100}) {
    CAPTURE(size);
    Collected<size_t> batches;
    std::vector<int> records;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", TestingSource(NumbersTo(12), {.batch_size = size})) |
          Unary<int>("see", pact::Pipeline{},
                     [&](Capability<>) {
                       return [&](NodeInput<int>& in, NodeOutput<int>& out) {
                         in.ForEach([&](const CapabilityRef<>& time, Batch<int>& batch) {
                           batches.Add(batch.size());
                           out.SessionAt(time).GiveBatch(std::move(batch));
                         });
                       };
                     }) |
          Output("out", TestingSink(&records));
    });
    CheckOk(RunMain(flow));
    CHECK(records == NumbersTo(12));
    std::vector<size_t> expected;
    for (int64_t left = 12; left > 0; left -= size) {
      expected.push_back(static_cast<size_t>(std::min(left, size)));
    }
    CHECK(batches.InOrder() == expected);
  }
  std::vector<int> none;
  for (const int64_t wrong : {0, -1}) {
    CheckError(Runs().Run(TestingSource(NumbersTo(3), {.batch_size = wrong}), 2, &none),
               absl::StatusCode::kInvalidArgument, {"step 'source'", "batch_size"});
  }
}

TEST_CASE("TestingEnd ends a run, and the next one continues after it") {
  for (const std::vector<int>& workers : {std::vector{1, 1, 1, 1}, std::vector{1, 3, 2, 8}}) {
    const TestingSource source(Items{1, 2, TestingEnd(), TestingEnd(), 3, 4, TestingEnd()});
    Runs runs;
    std::vector<int> records;
    CheckOk(runs.Run(source, workers[0], &records));
    CHECK(records == std::vector{1, 2});
    CheckOk(runs.Run(source, workers[1], &records));
    CHECK(records.empty());
    CheckOk(runs.Run(source, workers[2], &records));
    CHECK(records == std::vector{3, 4});
    // Now all is read, and more runs have nothing to do.
    for (int again = 0; again < 2; ++again) {
      CheckOk(runs.Run(source, workers[3], &records));
      CHECK(records.empty());
    }
    // More records follow.
    CheckOk(runs.Run(TestingSource(Items{1, 2, TestingEnd(), TestingEnd(), 3, 4, TestingEnd(), 5}),
                     1, &records));
    CHECK(records == std::vector{5});
  }
}

TEST_CASE("TestingAbort fails once; a run that resumes repeats what was not committed") {
  for (const int workers : {1, 2}) {
    for (const Epoch committed : {0, 1}) {  // two epochs may be incomplete when it fails
      CAPTURE(committed);
      const TestingSource source(Items{0, 1, 2, TestingAbort(), 3, 4});
      Runs runs;
      std::vector<int> first;
      CheckError(runs.Run(source, workers, &first, committed), absl::StatusCode::kAborted,
                 {"step 'source'", "on worker 0", "TestingAbort"});
      std::vector<int> second;
      CheckOk(runs.Run(source, workers, &second));
      CHECK(first == NumbersTo(static_cast<int>(committed)));
      first.insert(first.end(), second.begin(), second.end());
      CHECK(first == NumbersTo(5));
    }
  }
}

TEST_CASE("sums are exact after aborts at any place, whatever the shapes of the runs are") {
  for (const size_t place : {0, 1, 7, 13, 20}) {
    CAPTURE(place);
    Items items;
    for (int i = 0; i < 20; ++i) items.emplace_back(i);
    items.insert(items.begin() + static_cast<std::ptrdiff_t>(place), TestingAbort());
    const TestingSource source(items);
    auto store = std::make_shared<internal::MemoryStore>();
    Collected<std::pair<int, int>> sums;
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", source) | KeyOn("key", [](int number) {
        return number % 3;
      }) | StatefulMap<int>("sum", [](std::optional<int>& sum, int number) {
        sum = sum.value_or(0) + number;
        return *sum;
      }) | CollectInto("collect", sums);
    });
    const RunOptions options{.epoch_config = RecordCountEpochConfig{2},
                             .recovery_config = RecoveryConfig{.store = store}};
    CheckError(RunInShape(flow, {1, 2}, options), absl::StatusCode::kAborted, {"TestingAbort"});
    CheckOk(RunInShape(flow, {2, 2}, options));
    std::map<int, int> last;
    for (const auto& [key, sum] : sums.InOrder()) last[key] = std::max(last[key], sum);
    CHECK(last == std::map<int, int>{{0, 63}, {1, 70}, {2, 57}});
    // All is read, so another run has nothing to do.
    const size_t before = sums.size();
    CheckOk(RunInShape(flow, {1, 3}, options));
    CHECK(sums.size() == before);
  }
}

TEST_CASE("TestingPause lets time pass between two records, and the records before it move on") {
  ManualClock clock;
  std::map<int, int64_t> seen_at;
  const TestingSource source(Items{1, TestingPause{absl::Seconds(5)}, 2, 3});
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("numbers", source) |
          Inspect("see", [&](int number) { seen_at[number] = clock.NowNanos(); });
    }));
    while (worker.HasDataflows()) {
      HEADWAY_RETURN_IF_ERROR(worker.Step());
      clock.Advance(absl::Milliseconds(100));
    }
    return absl::OkStatus();
  }));
  REQUIRE(seen_at.size() == 3);
  const int64_t pause = seen_at[2] - seen_at[1];
  CHECK(pause >= absl::ToInt64Nanoseconds(absl::Seconds(5)));
  CHECK(pause <= absl::ToInt64Nanoseconds(absl::Seconds(6)));
  CHECK(seen_at[1] < absl::ToInt64Nanoseconds(absl::Seconds(1)));
}

TEST_CASE("a range is read on worker 0, once, in every shape") {
  for (Shape shape : kShapes) {
    Collected<std::pair<int, int>> records;
    const auto odd = std::views::iota(0, 1000) | std::views::filter([](int i) { return i % 2; }) |
                     std::views::transform([](int i) { return i * 10; });
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("range", RangeSource(odd)) |
          Inspect("collect", [&records, worker = scope.worker_index()](int record) {
            records.Add({worker, record});
          });
    });
    CheckOk(RunInShape(flow, shape));
    std::vector<std::pair<int, int>> expected;
    for (int i = 1; i < 1000; i += 2) expected.emplace_back(0, i * 10);
    CHECK(records.Sorted() == expected);
  }
}

TEST_CASE("containers, iterators and endless ranges are sources, and are read as they are needed") {
  std::vector<std::string> words;
  const std::vector<std::string> three{"a", "b", "c"};
  int made = 0;
  RunOptions options;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("container", RangeSource(three)) | Output("words", TestingSink(&words));
    scope.Input("iterators", RangeSource(std::ranges::subrange(three.begin() + 1, three.end()))) |
        Output("more", TestingSink(&words));
    // The difference of two numbers of 64 bits has more than these.
    scope.Input("wide", RangeSource(std::views::iota(int64_t{0}, int64_t{3}))) |
        Map("text", [](int64_t i) { return std::to_string(i); }) |
        Output("yet more", TestingSink(&words));
    scope.Input("endless", RangeSource(std::views::iota(0) |
                                       std::views::transform([&](int i) { return ++made, i; }))) |
        Inspect("stop", [&](int i) {
          if (i == 100'000) options.stop.RequestStop();
        });
  });
  CheckOk(RunMain(flow, options));
  std::sort(words.begin(), words.end());
  CHECK(words == std::vector<std::string>{"0", "1", "2", "a", "b", "b", "c", "c"});
  CHECK(made < 300'000);
}

TEST_CASE("a range that can be read only once is a source") {
  // An input range without positions of its own.
  struct Countdown {
    struct Iterator {
      using value_type = int;
      using difference_type = std::ptrdiff_t;
      using iterator_concept = std::input_iterator_tag;
      int operator*() const { return *left; }
      Iterator& operator++() { return --*left, *this; }
      void operator++(int) { --*left; }
      bool operator==(std::default_sentinel_t) const { return *left == 0; }
      int* left;
    };
    Iterator begin() { return {&left}; }
    static std::default_sentinel_t end() { return {}; }
    int left;
  };
  Runs runs;
  std::vector<int> records;
  CheckOk(runs.Run(RangeSource(Countdown{5}), 1, &records, 2));
  CHECK(records == std::vector{5, 4});
  CheckOk(runs.Run(RangeSource(Countdown{5}), 3, &records));
  CHECK(records == std::vector{3, 2, 1});
}

TEST_CASE("a run that resumes continues a range, with any number of workers") {
  for (const std::vector<int>& workers : {std::vector{1, 3, 2}, std::vector{3, 1, 8}}) {
    Runs runs;
    std::vector<int> all;
    for (size_t run = 0; run < workers.size(); ++run) {
      std::vector<int> records;
      CheckOk(runs.Run(RangeSource(std::views::iota(0, 50)), workers[run], &records,
                       run + 1 < workers.size() ? 10 : 1'000'000));
      all.insert(all.end(), records.begin(), records.end());
    }
    CHECK(all == NumbersTo(50));
  }
}

TEST_CASE("each worker reads the range that the function returns for it") {
  const auto multiples = [](int worker, int workers) {
    return std::views::iota(0, 100) |
           std::views::filter([=](int i) { return i % workers == worker; });
  };
  for (Shape shape : kShapes) {
    Collected<int> records;
    std::atomic<int> elsewhere{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("range", RangeOfEachWorker(multiples)) |
          Inspect("collect",
                  [&, worker = scope.worker_index(), count = scope.worker_count()](int i) {
                    records.Add(i);
                    if (i % count != worker) ++elsewhere;
                  });
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(records.Sorted() == NumbersTo(100));
    CHECK(elsewhere == 0);
  }
  // It resumes with the same number of workers.
  Runs runs;
  std::vector<int> first;
  CheckOk(runs.Run(RangeOfEachWorker(multiples), 2, &first, 10));
  std::vector<int> second;
  CheckError(runs.Run(RangeOfEachWorker(multiples), 3, &second, 0),
             absl::StatusCode::kInvalidArgument, {"the positions of 2 workers"});
  CheckOk(runs.Run(RangeOfEachWorker(multiples), 2, &second));
  first.insert(first.end(), second.begin(), second.end());
  std::sort(first.begin(), first.end());
  CHECK(first == NumbersTo(100));
}

TEST_CASE("an exception of a range ends the run, and names the step") {
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("range", RangeSource(std::views::iota(0) | std::views::transform([](int i) {
                                       return i < 5 ? i : throw std::runtime_error("five");
                                     })));
  });
  CheckError(RunMain(flow, {.worker_count = 2}), absl::StatusCode::kAborted,
             {"step 'range'", "on worker 0", "five"});
}

// The standard input of the process is the reading end of a pipe while the object lives.
class StdinPipe {
 public:
  StdinPipe() : saved_(dup(STDIN_FILENO)) {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    REQUIRE(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    close(ends[0]);
    to_ = ends[1];
  }
  ~StdinPipe() {
    Close();
    if (saved_ >= 0) {
      dup2(saved_, STDIN_FILENO);
      close(saved_);
    } else {
      close(STDIN_FILENO);
    }
  }
  StdinPipe(const StdinPipe&) = delete;
  StdinPipe& operator=(const StdinPipe&) = delete;

  void Write(const std::string& text) const {
    CHECK(write(to_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void Close() {
    if (to_ >= 0) close(std::exchange(to_, -1));
  }

 private:
  int saved_;
  int to_ = -1;
};

TEST_CASE("lines of the standard input move on while it has no more, and end with it") {
  for (const int workers : {1, 2}) {
    StdinPipe input;
    input.Write("fir");
    Collected<std::string> lines;
    std::atomic<int> others{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("stdin", StdinLines()) |
          Inspect("collect", [&, worker = scope.worker_index()](std::string_view line) {
            CHECK(worker == 0);
            lines.Add(std::string(line));
            // Each piece is written when the one before has arrived as a line.
            if (line == "first") input.Write("\r\n");
            if (line.empty() && lines.size() == 2) {
              input.Write(std::string(3000, 'x') + "\n\nlast");
            } else if (line.size() == 3000) {
              input.Close();
            }
          });
      // The worker does not wait for the input: other steps run, and supply it.
      scope.Input("others", TestingSource(NumbersTo(1000))) | Inspect("count", [&](int number) {
        ++others;
        if (number == 999) input.Write("st\n");
      });
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(others == 1000);
    CHECK(lines.InOrder() ==
          std::vector<std::string>{"first", "", std::string(3000, 'x'), "", "last"});
  }
}

TEST_CASE("a standard input that is closed is an error that says so") {
  StdinPipe input;
  close(STDIN_FILENO);
  Dataflow flow("flow", [&](Scope<>& scope) { scope.Input("stdin", StdinLines()); });
  const absl::Status status = RunMain(flow);
  CHECK(!status.ok());
  INFO(status.ToString());
  CHECK(status.message().find("step 'stdin'") != std::string::npos);
  CHECK(status.message().find("cannot read the standard input") != std::string::npos);
}

TEST_CASE("each worker writes with the function that a ManualSink made for it") {
  for (Shape shape : kShapes) {
    Collected<std::pair<int, int>> written;
    std::atomic<int> made{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", RangeSource(std::views::iota(0, 200))) |
          Exchange("spread", [](int i) { return i; }) |
          Output("out", ManualSink([&](int worker, int workers) {
                   CHECK(workers == shape.total());
                   ++made;
                   return [&written, worker, own = std::make_unique<int>(0)](int i) {
                     written.Add({++*own, i});
                     CHECK(worker >= 0);
                   };
                 }));
    });
    CheckOk(RunInShape(flow, shape));
    CHECK(made == shape.total());
    CHECK(written.size() == 200);
  }
  Dataflow failing("flow", [&](Scope<>& scope) {
    scope.Input("numbers", RangeSource(std::views::iota(0, 200))) |
        Output("out", ManualSink([](int, int) {
                 return [](int) -> absl::Status { return absl::DataLossError("disk full"); };
               }));
  });
  CheckError(RunMain(failing), absl::StatusCode::kDataLoss, {"step 'out'", "disk full"});
}

}  // namespace
}  // namespace headway
