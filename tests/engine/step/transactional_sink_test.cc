#include "engine/step/transactional_sink.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "engine/step/lane_thread.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"

namespace headway {
namespace {

using internal::MemoryStore;

// An outside system with transactions, which can die in any call: before it has an effect, or
// behind.
class Outside {
 public:
  void CrashAt(int64_t call, bool after) {
    std::lock_guard lock(mutex_);
    crash_ = call;
    after_ = after;
  }
  void Restart() {
    std::lock_guard lock(mutex_);
    crash_ = -1;
    crashed_ = false;
  }
  int64_t calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }

  // A lane has one writer: an earlier one is refused from now on.
  absl::StatusOr<int> Open(const std::string& lane) {
    std::lock_guard lock(mutex_);
    int writer = 0;
    absl::Status status = Call([&] { writer = ++lanes_[lane].writer; });
    if (!status.ok()) return status;
    return writer;
  }
  absl::StatusOr<std::optional<uint64_t>> LastMark(const std::string& lane) {
    std::lock_guard lock(mutex_);
    std::optional<uint64_t> mark;
    absl::Status status = Call([&] { mark = lanes_[lane].mark; });
    if (!status.ok()) return status;
    return mark;
  }
  absl::Status Publish(const std::string& lane, int writer, const Transaction& transaction) {
    std::lock_guard lock(mutex_);
    Lane& to = lanes_[lane];
    if (writer != to.writer) return absl::FailedPreconditionError("fenced");
    return Call([&] {
      to.mark = transaction.mark;
      to.epoch_counts.push_back(transaction.epochs.size());
      to.items.insert(to.items.end(), transaction.items.begin(), transaction.items.end());
    });
  }

  std::vector<std::string> Items(const std::string& lane) const {
    std::lock_guard lock(mutex_);
    const auto found = lanes_.find(lane);
    return found == lanes_.end() ? std::vector<std::string>() : found->second.items;
  }
  std::vector<std::string> Items() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, lane] : lanes_) {
      all.insert(all.end(), lane.items.begin(), lane.items.end());
    }
    return all;
  }
  // The number of epochs of each transaction.
  std::vector<size_t> EpochCounts(const std::string& lane) const {
    std::lock_guard lock(mutex_);
    return lanes_.at(lane).epoch_counts;
  }
  size_t lane_count() const {
    std::lock_guard lock(mutex_);
    return lanes_.size();
  }
  void ForgetMarks() {
    std::lock_guard lock(mutex_);
    for (auto& [name, lane] : lanes_) lane.mark.reset();
  }

 private:
  struct Lane {
    int writer = 0;
    std::optional<uint64_t> mark;
    std::vector<std::string> items;
    std::vector<size_t> epoch_counts;
  };

  template <class Action>
  absl::Status Call(Action action) {
    if (crashed_) return absl::UnavailableError("the outside system is away");
    const bool crashes = calls_++ == crash_;
    if (!crashes || after_) action();
    crashed_ = crashes;
    return crashes ? absl::UnavailableError("the outside system is away") : absl::OkStatus();
  }

  mutable std::mutex mutex_;
  int64_t calls_ = 0;
  int64_t crash_ = -1;
  bool after_ = false;
  bool crashed_ = false;
  std::map<std::string, Lane> lanes_;
};

class OutsideLane {
 public:
  OutsideLane(Outside* outside, std::string lane, int writer, int pending_calls, size_t epochs)
      : outside_(outside),
        lane_(std::move(lane)),
        writer_(writer),
        pending_(pending_calls),
        epochs_(epochs) {}

  absl::Status Write(std::string_view record, Outbox& outbox) {
    outbox.Add(record);
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<uint64_t>> LastMark() { return outside_->LastMark(lane_); }
  absl::Duration WaitForMore(const Transaction& transaction) const {
    return transaction.epochs.size() < epochs_ ? absl::Hours(1) : absl::ZeroDuration();
  }
  absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
    if (calls_++ < pending_) return FlushState::Pending(absl::Microseconds(50));
    calls_ = 0;
    absl::Status status = outside_->Publish(lane_, writer_, transaction);
    if (!status.ok()) return status;
    return FlushState::Done();
  }

 private:
  Outside* outside_;
  std::string lane_;
  int writer_;
  int pending_;
  size_t epochs_;
  int calls_ = 0;
};

struct OneLaneSink {
  Outside* outside;
  int pending_calls = 0;
  size_t epochs = 0;  // for which a transaction waits

  absl::StatusOr<OutsideLane> OpenLane(const SinkContext&, const std::string& lane) {
    absl::StatusOr<int> writer = outside->Open(lane);
    if (!writer.ok()) return writer.status();
    return OutsideLane(outside, lane, *writer, pending_calls, epochs);
  }
};

// The lane of a text is its first character.
struct LanesSink : OneLaneSink {
  std::string_view LaneOf(std::string_view record) const { return record.substr(0, 1); }
};

// Texts such as "3 of run 1": a replay makes others than the first run.
template <class Sink>
Dataflow Texts(int end, int run, Sink sink) {
  return Dataflow("texts", [numbers = NumbersTo(end), run, sink](Scope<>& scope) {
    scope.Input("numbers", TestingSource(numbers)) | Redistribute("spread") |
        Map("text", [run](int number) { return absl::StrCat(number, " of run ", run); }) |
        Output("out", sink);
  });
}

std::vector<int> NumbersIn(const std::vector<std::string>& items) {
  std::vector<int> numbers;
  numbers.reserve(items.size());
  for (const std::string& item : items) numbers.push_back(std::stoi(item));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

RunOptions With(std::shared_ptr<RecoveryStore> store, int snapshot_every_epochs = 1) {
  return {.epoch_config = RecordCountEpochConfig{3},
          .recovery_config = RecoveryConfig{.store = std::move(store),
                                            .snapshot_every_epochs = snapshot_every_epochs}};
}

TEST_CASE("a transactional sink publishes every record once, without recovery too") {
  for (const Shape shape : kShapes) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    for (const int pending : {0, 2}) {
      Outside plain;
      Outside recovering;
      CheckOk(RunInShape(Texts(100, 1, LanesSink{{&plain, pending}}), shape,
                         {.epoch_config = RecordCountEpochConfig{7}}));
      CHECK(NumbersIn(plain.Items()) == NumbersTo(100));
      CHECK(plain.lane_count() == 10);  // the first digits
      CheckOk(RunInShape(Texts(100, 1, LanesSink{{&recovering, pending}}), shape,
                         With(std::make_shared<MemoryStore>())));
      CHECK(NumbersIn(recovering.Items()) == NumbersTo(100));
    }
  }
}

TEST_CASE("what one worker writes to a lane is published in order") {
  for (const bool recovers : {false, true}) {
    Outside outside;
    RunOptions options{.epoch_config = RecordCountEpochConfig{3}};
    if (recovers) options = With(std::make_shared<MemoryStore>());
    CheckOk(RunMain(Texts(50, 1, OneLaneSink{&outside}), options));
    const std::vector<std::string> items = outside.Items("all");
    REQUIRE(items.size() == 50);
    for (int i = 0; i < 50; ++i) CHECK(std::stoi(items[static_cast<size_t>(i)]) == i);
  }
}

TEST_CASE("a run that resumes publishes what was committed and not published, and nothing twice") {
  constexpr int kEnd = 20;
  for (const Shape shape : {Shape{1, 1}, Shape{1, 2}, Shape{2, 1}}) {
    CAPTURE(shape.processes);
    CAPTURE(shape.workers);
    int64_t store_calls = 0;
    int64_t outside_calls = 0;
    {
      auto store = std::make_shared<MemoryStore>();
      Outside outside;
      CheckOk(RunInShape(Texts(kEnd, 1, LanesSink{{&outside}}), shape, With(store)));
      store_calls = store->calls();
      outside_calls = outside.calls();
    }
    // Every call of both, and then another number of workers.
    const int64_t step = shape.total() == 1 ? 1 : 3;
    for (int64_t crash = 0; crash < 2 * (store_calls + outside_calls); crash += step) {
      CAPTURE(crash);
      auto store = std::make_shared<MemoryStore>();
      Outside outside;
      const int64_t call = crash / 2;
      const size_t epochs = crash / step % 3 == 2 ? 3 : 0;
      if (call < store_calls) {
        store->CrashAt(call, crash % 2 == 0);
      } else {
        outside.CrashAt(call - store_calls, crash % 2 == 0);
      }
      RunInShape(Texts(kEnd, 1, LanesSink{{&outside, 0, epochs}}), shape, With(store))
          .IgnoreError();
      store->Restart();
      outside.Restart();
      const Shape next{1, 3 - shape.workers};
      CheckOk(RunInShape(Texts(kEnd, 2, LanesSink{{&outside, 0, epochs}}), next, With(store)));
      REQUIRE(NumbersIn(outside.Items()) == NumbersTo(kEnd));
      // A third run has nothing to publish, but the records that are new.
      CheckOk(RunInShape(Texts(kEnd + 2, 3, LanesSink{{&outside}}), shape, With(store)));
      REQUIRE(NumbersIn(outside.Items()) == NumbersTo(kEnd + 2));
    }
  }
}

TEST_CASE("epochs that share a snapshot are published with it") {
  for (const int every : {2, 5, 100}) {
    CAPTURE(every);
    auto store = std::make_shared<MemoryStore>();
    Outside outside;
    RunOptions options = With(store, every);
    options.worker_count = 2;
    CheckOk(RunMain(Texts(40, 1, LanesSink{{&outside, 1}}), options));
    CHECK(NumbersIn(outside.Items()) == NumbersTo(40));
    CheckOk(RunMain(Texts(70, 2, LanesSink{{&outside, 1}}), options));
    CHECK(NumbersIn(outside.Items()) == NumbersTo(70));
  }
}

TEST_CASE("committed epochs that wait for later ones share a transaction, and hold nothing up") {
  for (const size_t epochs : {4, 1000}) {
    Outside outside;
    const auto store = std::make_shared<MemoryStore>();
    CheckOk(RunMain(Texts(90, 1, OneLaneSink{&outside, 1, epochs}), With(store)));
    const std::vector<size_t> counts = outside.EpochCounts("all");
    CHECK(NumbersIn(outside.Items()) == NumbersTo(90));
    for (size_t i = 0; i + 1 < counts.size(); ++i) CHECK(counts[i] >= 4);
    if (epochs == 1000) CHECK(counts == std::vector<size_t>{30});
  }
}

// Emits five records, and ends when the outside system has them.
struct AwaitsItems {
  using Record = int;
  Outside* outside;

  struct Reader {
    Outside* outside;
    absl::Time give_up = absl::Now() + absl::Seconds(60);
    int next = 0;

    absl::StatusOr<SourceState> Poll(SourceOutput<int>& out) {
      while (next < 5 && out.WantsMore()) out.Emit(next++);
      if (outside->Items().size() == 5) return SourceState::Done();
      if (absl::Now() > give_up) return absl::DeadlineExceededError("nothing is published");
      return SourceState::Idle(absl::Milliseconds(1));
    }
    std::string Snapshot() const { return std::to_string(next); }
  };

  absl::StatusOr<std::vector<std::string>> Partitions(const SourceContext&) {
    return std::vector<std::string>{"all"};
  }
  absl::StatusOr<Reader> OpenPartition(const SourceContext&, const std::string&,
                                       const std::optional<std::string>&) {
    return Reader{.outside = outside};
  }
};

TEST_CASE("what waits is published when its time is over, though no epoch follows") {
  struct Lane : OutsideLane {
    int asked = 0;
    absl::Duration WaitForMore(const Transaction&) {
      return asked++ < 3 ? absl::Milliseconds(1) : absl::ZeroDuration();
    }
  };
  struct Sink : OneLaneSink {
    absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string& name) {
      absl::StatusOr<OutsideLane> lane = OneLaneSink::OpenLane(context, name);
      if (!lane.ok()) return lane.status();
      return Lane{*std::move(lane)};
    }
  };
  Outside outside;
  RunOptions options = With(std::make_shared<MemoryStore>());
  options.epoch_config = RecordCountEpochConfig{5};
  CheckOk(RunMain(Dataflow("texts",
                           [&](Scope<>& scope) {
                             scope.Input("numbers", AwaitsItems{&outside}) |
                                 Map("text", [](int number) { return std::to_string(number); }) |
                                 Output("out", Sink{{&outside}});
                           }),
                  options));
  CHECK(NumbersIn(outside.Items()) == NumbersTo(5));
}

TEST_CASE("a run with a restart publishes once although its outside system fails in between") {
  auto store = std::make_shared<MemoryStore>();
  Outside outside;
  std::atomic<int> opened = 0;
  struct Sink : LanesSink {
    std::atomic<int>* opened;
    absl::StatusOr<OutsideLane> OpenLane(const SinkContext& context, const std::string& lane) {
      if (opened->fetch_add(1) == 12) outside->Restart();
      return LanesSink::OpenLane(context, lane);
    }
  };
  RunOptions options = With(store);
  options.restart = {.max_restarts = 100, .backoff = absl::ZeroDuration()};
  options.worker_count = 2;
  outside.CrashAt(30, true);
  CheckOk(RunMain(Texts(60, 1, Sink{{{&outside}}, &opened}), options));
  CHECK(NumbersIn(outside.Items()) == NumbersTo(60));
}

TEST_CASE("a graceful stop publishes everything that was emitted") {
  for (const bool recovers : {false, true}) {
    for (int repeat = 0; repeat < 5; ++repeat) {
      Outside outside;
      StopHandle stop;
      std::atomic<int64_t> emitted = 0;
      RunOptions options{.worker_count = 2, .epoch_config = RecordCountEpochConfig{5}};
      if (recovers)
        options.recovery_config = RecoveryConfig{.store = std::make_shared<MemoryStore>()};
      options.stop = stop;
      CheckOk(RunMain(Dataflow("endless",
                               [&](Scope<>& scope) {
                                 scope.Input("numbers", RangeSource(std::views::iota(0))) |
                                     Map("text",
                                         [&](int number) {
                                           if (number == 100 + 50 * repeat) stop.RequestStop();
                                           ++emitted;
                                           return std::to_string(number);
                                         }) |
                                     Output("out",
                                            LanesSink{{&outside, 3, repeat % 2 == 0 ? 0U : 1000U}});
                               }),
                      options));
      CHECK(static_cast<int64_t>(outside.Items().size()) == emitted);
    }
  }
}

TEST_CASE("a store that is an older copy than the outside system is refused") {
  Outside outside;
  CheckOk(RunMain(Texts(40, 1, OneLaneSink{&outside}), With(std::make_shared<MemoryStore>())));
  const absl::Status status =
      RunMain(Texts(40, 1, OneLaneSink{&outside}), With(std::make_shared<MemoryStore>()));
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(status.message().find("the lane 'all' of the sink has published epoch") !=
        std::string::npos);
  CHECK(outside.Items().size() == 40);
  outside.ForgetMarks();
  CheckOk(RunMain(Texts(40, 1, OneLaneSink{&outside}), With(std::make_shared<MemoryStore>())));
}

TEST_CASE("a lane whose mark is gone is refused, and nothing is published twice") {
  Outside outside;
  auto store = std::make_shared<MemoryStore>();
  CheckOk(RunMain(Texts(40, 1, OneLaneSink{&outside}), With(store)));
  outside.ForgetMarks();
  CheckError(RunMain(Texts(50, 2, OneLaneSink{&outside}), With(store)),
             absl::StatusCode::kFailedPrecondition,
             {"step 'out'", "the lane 'all' of the sink has published epoch",
              "the outside system has no mark"});
  CHECK(outside.Items().size() == 40);
}

// A sink that publishes with `publish(thread, transaction)` on the thread of its lane.
struct ThreadSink {
  using PublishFn = std::function<absl::Status(LaneThread& thread, const Transaction& transaction)>;
  PublishFn publish;

  struct Publisher {
    Publisher(PublishFn with, const ThreadActivator& activator)
        : publish(std::move(with)),
          thread([this](const Transaction& t) { return publish(thread, t); }, activator) {}
    PublishFn publish;
    LaneThread thread;
  };
  class Lane {
   public:
    explicit Lane(std::unique_ptr<Publisher> publisher) : publisher_(std::move(publisher)) {}
    absl::Status Write(std::string_view record, Outbox& outbox) {
      outbox.Add(record);
      return absl::OkStatus();
    }
    absl::StatusOr<std::optional<uint64_t>> LastMark() { return std::nullopt; }
    absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
      return publisher_->thread.Publish(transaction);
    }

   private:
    std::unique_ptr<Publisher> publisher_;
  };
  absl::StatusOr<Lane> OpenLane(const SinkContext& context, const std::string&) {
    return Lane(std::make_unique<Publisher>(publish, context.activator));
  }
};

TEST_CASE("a lane may publish on a thread, whose failures are those of the step") {
  const auto run = [](ThreadSink::PublishFn publish) {
    return RunMain(Texts(40, 1, ThreadSink{std::move(publish)}),
                   With(std::make_shared<MemoryStore>()));
  };
  std::vector<std::string> items;  // the thread's, until the run is over
  CheckOk(run([&](LaneThread& thread, const Transaction& transaction) {
    CHECK_FALSE(thread.ends());
    items.insert(items.end(), transaction.items.begin(), transaction.items.end());
    return absl::OkStatus();
  }));
  CHECK(items.size() == 40);
  CheckError(run([](LaneThread&, const Transaction&) { return absl::AbortedError("is full"); }),
             absl::StatusCode::kAborted, {"step 'out'", "is full"});
  CheckError(run([](LaneThread&, const Transaction&) -> absl::Status {
               throw std::runtime_error("is broken");
             }),
             absl::StatusCode::kAborted, {"step 'out'", "threw: is broken"});
}

TEST_CASE("a run that fails does not wait for a thread that publishes") {
  std::latch begun(1);
  bool slept = true;
  const Dataflow flow("fail", [&](Scope<>& scope) {
    const auto texts = scope.Input("texts", TestingSource(std::vector<std::string>(40, "text")));
    texts | Output("out", ThreadSink{[&](LaneThread& thread, const Transaction&) {
                     begun.count_down();
                     slept = thread.Sleep(absl::Hours(1));
                     return absl::CancelledError("the run ends");
                   }});
    texts | Output("fail", ThreadSink{[&](LaneThread&, const Transaction&) {
                     begun.wait();
                     return absl::AbortedError("enough");
                   }});
  });
  CheckError(RunMain(flow, With(std::make_shared<MemoryStore>())), absl::StatusCode::kAborted,
             {"step 'fail'", "enough"});
  CHECK_FALSE(slept);
}

TEST_CASE("an outbox keeps items of any length, in chunks that a snapshot restores") {
  Outbox outbox;
  std::vector<std::string> items;
  for (size_t i = 0; i < 300; ++i)
    items.emplace_back(i * 7 % 1000, static_cast<char>('a' + i % 26));
  items.emplace_back(1 << 20, 'z');
  items.emplace_back();
  for (const std::string& item : items) outbox.Add(item);
  Outbox restored;
  for (const std::string& chunk : outbox.chunks()) CHECK(restored.Restore(chunk));
  std::vector<std::string_view> read;
  restored.AppendTo(read);
  CHECK(std::vector<std::string>(read.begin(), read.end()) == items);
  CHECK(outbox.chunks().size() > 2);
  Outbox malformed;
  CHECK_FALSE(malformed.Restore(""));
  CHECK_FALSE(malformed.Restore(std::string_view("\x05\0\0\0abc", 7)));
  CHECK(malformed.empty());
}

}  // namespace
}  // namespace headway
