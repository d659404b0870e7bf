#include "engine/step/event_time.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

// The watermarks that a keyed step got, by worker.
struct Watermarks {
  std::mutex mutex;
  std::vector<std::vector<EventTime>> by_worker{16};
  int64_t early_records = 0;  // that came behind a watermark
};

// A keyed step that notes its watermarks, and passes the records on.
Stream<int64_t> NoteWatermarks(const Stream<int64_t>& stream, std::string_view id,
                               Watermarks& seen) {
  KeyedOperator<int64_t, int64_t, Epoch, std::identity> keyed(stream, id, std::identity());
  auto& output = keyed.AddOutput<int64_t>();
  auto& step = keyed.step();
  keyed.OnBatch([&seen, &step, &output](const CapabilityRef<Epoch>& time, Batch<int64_t>& batch) {
    const std::lock_guard lock(seen.mutex);
    for (int64_t record : batch) seen.early_records += record < step.watermark() ? 1 : 0;
    output.SessionAt(time).GiveBatch(std::move(batch));
  });
  const auto worker = static_cast<size_t>(stream.scope().worker_index());
  keyed.OnWatermark([&seen, &step, worker](const CapabilityRef<Epoch>&) {
    const std::lock_guard lock(seen.mutex);
    seen.by_worker[worker].push_back(step.watermark());
  });
  return keyed.Build(output);
}

void CheckAscend(const std::vector<EventTime>& times, EventTime last) {
  REQUIRE(!times.empty());
  CHECK(std::ranges::is_sorted(times));
  CHECK(times.back() == last);
}

// The numbers from `first` on, in ascending order but for `disorder`.
std::vector<int64_t> Numbers(int64_t first, int64_t count, int64_t disorder) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(first + i / (disorder + 1) * (disorder + 1) + disorder - i % (disorder + 1));
  }
  return numbers;
}

const auto kItself = [](int64_t number) { return number; };

TEST_CASE("a watermark follows the latest record through exchanges, and no record is behind it") {
  for (Shape shape : kShapes) {
    for (bool in_order : {false, true}) {
      CAPTURE(shape.processes);
      CAPTURE(shape.workers);
      CAPTURE(in_order);
      Watermarks first;
      Watermarks second;
      CheckOk(RunInShape(
          Dataflow("flow",
                   [&](Scope<>& scope) {
                     auto numbers =
                         scope.Input("numbers", TestingSource(Numbers(0, 1000, 9))) |
                         Filter("even", [](int64_t number) { return number % 2 == 0; }) |
                         AssignEventTime("time", EventClock(kItself, 10)) |
                         FlatMap("same", [](int64_t number) { return std::vector{number}; });
                     NoteWatermarks(NoteWatermarks(numbers, "first", first), "second", second);
                   }),
          shape, {.epoch_config = RecordCountEpochConfig{50}, .apply_in_epoch_order = in_order}));
      for (int worker = 0; worker < shape.total(); ++worker) {
        CheckAscend(first.by_worker[static_cast<size_t>(worker)], 998 - 10);
        CheckAscend(second.by_worker[static_cast<size_t>(worker)], 998 - 10);
      }
      CHECK(first.early_records == 0);
      CHECK(second.early_records == 0);
    }
  }
}

// A source whose partitions the test feeds: numbers by partition, in the order in which they are
// given.
class FedSource {
 public:
  using Record = int64_t;
  struct Partition {
    std::deque<int64_t> numbers;
    bool ended = false;
  };
  using ByName = std::map<std::string, Partition>;

  FedSource(ByName& partitions, int max_open) : partitions_(partitions), max_open_(max_open) {}

  class Reader {
   public:
    explicit Reader(Partition& partition) : partition_(partition) {}
    absl::StatusOr<SourceState> Poll(SourceOutput<int64_t>& out) {
      for (; !partition_.numbers.empty() && out.WantsMore(); partition_.numbers.pop_front()) {
        out.Emit(partition_.numbers.front());
      }
      if (!partition_.numbers.empty()) return SourceState::More();
      return partition_.ended ? SourceState::Done() : SourceState::Idle(absl::Milliseconds(1));
    }
    std::string Snapshot() const { return ""; }

   private:
    Partition& partition_;
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    std::vector<std::string> names;
    for (const auto& [name, partition] : partitions_) names.push_back(name);
    return names;
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string& name,
                                       const std::optional<std::string>&) {
    return Reader(partitions_.at(name));
  }
  int max_open_partitions() const { return max_open_; }

 private:
  ByName& partitions_;
  int max_open_;
};

// The watermarks of a step behind an event clock, of a source whose partitions a script feeds.
class Fed {
 public:
  Fed(FedSource::ByName partitions, absl::Duration idle_timeout, int max_open,
      absl::FunctionRef<void(Fed&)> script)
      : partitions_(std::move(partitions)) {
    CheckOk(Execute({.run = {.clock = &clock_}}, [&](Worker& worker) -> absl::Status {
      worker_ = &worker;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        auto numbers = scope.Input("in", FedSource(partitions_, max_open)) |
                       AssignEventTime("time", EventClock(kItself, 10, idle_timeout));
        NoteWatermarks(numbers, "seen", seen_);
      }));
      script(*this);
      for (auto& [name, partition] : partitions_) partition.ended = true;
      return worker.StepWhile([&] {
        clock_.Advance(absl::Milliseconds(1));
        return worker.HasDataflows();
      });
    }));
  }

  // The watermark after these numbers of a partition.
  EventTime Feed(const std::string& partition, std::initializer_list<int64_t> numbers) {
    for (int64_t number : numbers) partitions_[partition].numbers.push_back(number);
    return Wait(absl::Milliseconds(1));
  }
  EventTime End(const std::string& partition) {
    partitions_[partition].ended = true;
    return Wait(absl::Milliseconds(1));
  }
  EventTime Wait(absl::Duration duration) {
    clock_.Advance(duration);
    for (int i = 0; i < 30; ++i) CheckOk(worker_->Step());
    clock_.Advance(absl::Milliseconds(2));
    for (int i = 0; i < 30; ++i) CheckOk(worker_->Step());
    return seen_.by_worker[0].empty() ? kNoWatermark : seen_.by_worker[0].back();
  }

 private:
  FedSource::ByName partitions_;
  ManualClock clock_;
  Watermarks seen_;
  Worker* worker_ = nullptr;
};

TEST_CASE("a watermark is the least of the source's partitions, until they end") {
  Fed({{"a", {}}, {"b", {}}}, absl::InfiniteDuration(), 10, [](Fed& fed) {
    CHECK(fed.Feed("a", {100}) == kNoWatermark);
    CHECK(fed.Feed("b", {50}) == 40);
    CHECK(fed.Feed("a", {200}) == 40);
    CHECK(fed.Feed("b", {30, 70, 60}) == 60);
    CHECK(fed.Wait(absl::Hours(1)) == 60);
    CHECK(fed.End("b") == 190);
    CHECK(fed.Feed("a", {210}) == 200);
  });
}

TEST_CASE("a partition without records for the idle timeout holds the others back no more") {
  Fed({{"a", {}}, {"b", {}}}, absl::Seconds(5), 10, [](Fed& fed) {
    CHECK(fed.Feed("a", {100}) == kNoWatermark);
    CHECK(fed.Wait(absl::Seconds(4)) == kNoWatermark);
    CHECK(fed.Feed("a", {110}) == kNoWatermark);
    CHECK(fed.Wait(absl::Seconds(1)) == 100);
    CHECK(fed.Feed("b", {20}) == 100);  // late, and it holds the others back again
    CHECK(fed.Feed("a", {300}) == 100);
    CHECK(fed.Feed("b", {200}) == 190);
    CHECK(fed.Wait(absl::Hours(1)) == 290);  // all are idle
  });
}

TEST_CASE("a partition that is not open yet holds the watermark back") {
  Fed({{"a", {}}, {"b", {}}}, absl::Seconds(5), 1, [](Fed& fed) {
    CHECK(fed.Feed("a", {100}) == kNoWatermark);
    CHECK(fed.Wait(absl::Hours(1)) == kNoWatermark);
    CHECK(fed.End("a") == kNoWatermark);
    CHECK(fed.Feed("b", {50}) == 40);
  });
}

TEST_CASE("a source without event time holds the others back until it has ended") {
  Watermarks seen;
  CheckOk(RunMain(Dataflow("flow",
                           [&](Scope<>& scope) {
                             auto timed = scope.Input("timed", TestingSource(Numbers(0, 100, 0))) |
                                          AssignEventTime("time", EventClock(kItself, 0));
                             auto other =
                                 scope.Input("other", TestingSource(std::vector<int64_t>{1, 2, 3}));
                             NoteWatermarks(timed | Merge("merge", other), "seen", seen);
                           }),
                  {.worker_count = 3}));
  for (size_t worker = 0; worker < 3; ++worker) CheckAscend(seen.by_worker[worker], 99);
}

TEST_CASE("a watermark waits behind the rests of all branches of its source") {
  Watermarks seen;
  CheckOk(RunMain(Dataflow("flow",
                           [&](Scope<>& scope) {
                             auto numbers =
                                 scope.Input("numbers", TestingSource(Numbers(0, 300, 0))) |
                                 AssignEventTime("time", EventClock(kItself, 0));
                             auto many = numbers | FlatMap("many", [](int64_t number) {
                                           return std::vector<int64_t>(5000, number);
                                         });
                             NoteWatermarks(numbers | Merge("merge", many), "seen", seen);
                           }),
                  {.worker_count = 2,
                   .epoch_config = RecordCountEpochConfig{10},
                   .max_bytes_in_flight = int64_t{1} << 20}));
  CHECK(seen.early_records == 0);
  CheckAscend(seen.by_worker[0], 299);
}

TEST_CASE("an event clock behind a step that exchanges fails the build") {
  const absl::Status status = RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector<int64_t>{1})) |
        Exchange("exchange", std::identity()) | AssignEventTime("time", EventClock(kItself, 0));
  }));
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(status.message().find("'exchange'") != std::string::npos);
}

TEST_CASE("a time function that throws ends the run with an error that names the step") {
  const absl::Status status = RunMain(Dataflow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector<int64_t>{1})) |
        AssignEventTime(
            "time", EventClock([](int64_t) -> int64_t { throw std::runtime_error("no time"); }, 0));
  }));
  CHECK_FALSE(status.ok());
  CHECK(status.message().find("step 'time'") != std::string::npos);
  CHECK(status.message().find("no time") != std::string::npos);
}

TEST_CASE(
    "event timers fire when the watermark reaches them, in the order of time, or at the end") {
  std::vector<std::pair<int64_t, EventTime>> fired;
  CheckOk(RunMain(
      Dataflow("flow",
               [&](Scope<>& scope) {
                 auto numbers = scope.Input("numbers", TestingSource(Numbers(0, 20, 0))) |
                                AssignEventTime("time", EventClock(kItself, 5));
                 KeyedOperator<int64_t, int64_t, Epoch, std::identity> keyed(numbers, "timers",
                                                                             std::identity());
                 auto& output = keyed.AddOutput<int64_t>();
                 auto& step = keyed.step();
                 keyed.OnBatch([&step](const CapabilityRef<Epoch>&, Batch<int64_t>& batch) {
                   for (int64_t number : batch) {
                     step.SetEventTimer(number, number % 2 == 0 ? 2 * number : 1000);
                     if (number % 4 == 0) step.CancelEventTimer(number, 2 * number);
                   }
                 });
                 keyed.OnEventTimer([&](const CapabilityRef<Epoch>&, int64_t key, EventTime at) {
                   fired.emplace_back(key, at);
                   if (at < 1000) CHECK(step.watermark() >= std::min<EventTime>(at, 14));
                 });
                 keyed.Build(output);
               }),
      {.epoch_config = RecordCountEpochConfig{3}}));
  REQUIRE(fired.size() == 15);
  CHECK(std::ranges::is_sorted(fired, {}, [](const auto& timer) { return timer.second; }));
  CHECK(fired[0] == std::pair<int64_t, EventTime>(2, 4));
}

}  // namespace
}  // namespace headway
