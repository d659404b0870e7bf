#include "engine/step/event_time.h"

#include <algorithm>
#include <mutex>
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

}  // namespace
}  // namespace headway
