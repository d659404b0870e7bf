// Sinks that cannot write, the times of flushes, and flushes that are pending.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/run_helpers.h"

namespace headway {
namespace {

using absl::StatusCode;

// Writes to a file at each flush; or fails where it is told to.
struct FailingSink {
  enum class Where { kOpen, kWrite, kFlush, kFull, kThrow } where;

  class Writer {
   public:
    Writer(Where where, int worker) : where_(where), worker_(worker) {}
    absl::Status Write(int64_t) {
      if (where_ == Where::kWrite && worker_ == 0) return absl::DataLossError("cannot write");
      if (where_ == Where::kThrow && worker_ == 0) throw std::runtime_error("cannot write");
      return absl::OkStatus();
    }
    absl::Status Flush() {
      if (where_ == Where::kFlush && worker_ == 0) return absl::DataLossError("cannot flush");
      if (where_ == Where::kFull && worker_ == 0) {
        const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        REQUIRE(full >= 0);
        const ssize_t written = write(full, "x", 1);
        const int error = errno;
        close(full);
        if (written < 0) return absl::ErrnoToStatus(error, "cannot write '/dev/full'");
      }
      return absl::OkStatus();
    }

   private:
    Where where_;
    int worker_;
  };

  absl::StatusOr<Writer> Open(const SinkContext& context) {
    if (where == Where::kOpen && context.worker_index == 0) {
      return absl::NotFoundError("cannot open");
    }
    return Writer(where, context.worker_index);
  }
};

TEST_CASE("a sink that fails ends the run with its step, worker and reason") {
  struct Case {
    FailingSink::Where where;
    StatusCode code;
    std::string what;
  };
  for (const Case& c : {Case{FailingSink::Where::kOpen, StatusCode::kNotFound, "cannot open"},
                        Case{FailingSink::Where::kWrite, StatusCode::kDataLoss, "cannot write"},
                        Case{FailingSink::Where::kFlush, StatusCode::kDataLoss, "cannot flush"},
                        Case{FailingSink::Where::kThrow, StatusCode::kAborted, "cannot write"},
                        Case{FailingSink::Where::kFull, StatusCode::kResourceExhausted,
                             "No space left on device"}}) {
    for (int workers : kWorkerCounts) {
      CAPTURE(c.what);
      CAPTURE(workers);
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(100)) | Output("bad", FailingSink{c.where});
      });
      CheckError(RunMain(flow, {.worker_count = workers}), c.code,
                 {"step 'bad'", OnWorker(0), c.what});
    }
  }
}

// Runs `body` in a child process with its standard output replaced by `path`, and returns whether
// it returned true.
bool InChildWithOutputTo(const char* path, const std::function<bool()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    const bool good = file >= 0 && dup2(file, STDOUT_FILENO) >= 0 && body();
    _exit(good ? 0 : 1);
  }
  int result = 0;
  REQUIRE(waitpid(child, &result, 0) == child);
  return WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

TEST_CASE("standard output on a full disk is an error of the step that prints") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) | Output("out", StdOutSink());
    });
    CHECK(InChildWithOutputTo("/dev/full", [&] {
      absl::Status status = RunMain(flow, {.worker_count = workers});
      const std::string text(status.message());
      return status.code() == StatusCode::kResourceExhausted &&
             text.find("step 'out'") != std::string::npos &&
             text.find("on worker ") != std::string::npos &&
             text.find("No space left on device") != std::string::npos;
    }));
    CHECK(InChildWithOutputTo("/dev/null",
                              [&] { return RunMain(flow, {.worker_count = workers}).ok(); }));
  }
}

TEST_CASE("a full pipe that does not block is waited for") {
  constexpr int kRecords = 40'000;
  for (int workers : {1, 3}) {
    CAPTURE(workers);
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    REQUIRE(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    std::fflush(stdout);  // otherwise the child prints it, too
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      bool good = dup2(ends[1], STDOUT_FILENO) >= 0;
      Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("numbers", NumbersOfEachWorker(kRecords)) | Output("out", StdOutSink());
      });
      good = good && RunMain(flow, {.worker_count = workers}).ok();
      _exit(good ? 0 : 1);
    }
    close(ends[1]);
    // The reader is slow: it begins when the pipe is full.
    int unread = 0;
    pollfd end = {.fd = ends[0], .events = 0, .revents = 0};
    while (ioctl(ends[0], FIONREAD, &unread) == 0 && unread < 60'000 && poll(&end, 1, 0) == 0) {
      std::this_thread::yield();
    }
    int64_t lines = 0;
    char buffer[4096];
    for (ssize_t count; (count = read(ends[0], buffer, sizeof(buffer))) > 0;) {
      lines += std::count(buffer, buffer + count, '\n');
    }
    close(ends[0]);
    int result = 0;
    REQUIRE(waitpid(child, &result, 0) == child);
    CHECK(result == 0);
    CHECK(lines == kRecords * workers);
  }
}

// Records the calls of its functions.
struct NotingSink {
  Collected<std::string>* notes;

  struct Writer {
    Collected<std::string>* notes;
    absl::Status Write(int record) {
      notes->Add(std::to_string(record));
      return absl::OkStatus();
    }
    absl::Status Flush() {
      notes->Add("flush");
      return absl::OkStatus();
    }
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer{notes}; }
};

TEST_CASE("a sink is flushed at the end of each epoch that had records") {
  Collected<std::string> notes;
  Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", TestingSource(std::vector<int>{1, 2, 3, 4})) |
        Filter("not_3", [](int x) { return x != 3; }) | Output("out", NotingSink{&notes});
  });
  CheckOk(RunMain(flow, {.epoch_config = TestingEpochConfig{}, .max_epochs_in_flight = 1}));
  CHECK(notes.InOrder() == std::vector<std::string>{"1", "flush", "2", "flush", "4", "flush"});
}

// ---- Flushes that take long ----

// Records the calls of its functions, and answers `pending_count` times that a flush is pending,
// then that it is done.
struct SlowSink {
  Collected<std::string>* notes;
  int pending_count;
  absl::Duration wait;

  struct Writer {
    Collected<std::string>* notes;
    int pending_count;
    absl::Duration wait;
    int asked = 0;
    absl::Status Write(int record) {
      notes->Add(std::to_string(record));
      return absl::OkStatus();
    }
    absl::StatusOr<FlushState> Flush() {
      if (asked++ < pending_count) {
        notes->Add("pending");
        return FlushState::Pending(wait);
      }
      asked = 0;
      notes->Add("done");
      return FlushState::Done();
    }
  };
  absl::StatusOr<Writer> Open(const SinkContext&) { return Writer{notes, pending_count, wait}; }
};

TEST_CASE("the records of the last epoch of all are flushed, and the run ends") {
  for (bool in_order : {false, true}) {
    CAPTURE(in_order);
    std::vector<int> collected;
    CheckOk(Execute({.run = {.apply_in_epoch_order = in_order}}, [&](Worker& worker) {
      InputHandle<int> input;
      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
        scope.Input(input) | Output("out", TestingSink(&collected));
      }));
      input.AdvanceTo(std::numeric_limits<Epoch>::max());
      input.Send(7);
      input.Close();
      return absl::OkStatus();
    }));
    CHECK(collected == std::vector{7});
  }
}

TEST_CASE("an epoch stays open while its flush is pending") {
  for (bool in_order : {false, true}) {
    CAPTURE(in_order);
    Collected<std::string> notes;
    ManualClock clock;
    CheckOk(Execute({.run = {.epoch_config = TestingEpochConfig{},
                             .max_epochs_in_flight = 1,
                             .apply_in_epoch_order = in_order,
                             .clock = &clock}},
                    [&](Worker& worker) -> absl::Status {
                      HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
                        scope.Input("numbers", TestingSource(std::vector<int>{1, 2})) |
                            Output("out", SlowSink{&notes, 2, absl::Seconds(10)});
                      }));
                      std::vector<std::string> expected{"1", "pending"};
                      auto check = [&] {
                        for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
                        CHECK(notes.InOrder() == expected);
                      };
                      check();
                      clock.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
                      check();
                      clock.Advance(absl::Nanoseconds(1));
                      expected.push_back("pending");
                      check();
                      clock.Advance(absl::Seconds(10));
                      for (const char* note : {"done", "2", "pending"}) expected.push_back(note);
                      check();
                      CHECK(worker.HasDataflows());
                      clock.Advance(absl::Seconds(10));
                      expected.push_back("pending");
                      check();
                      clock.Advance(absl::Seconds(10));
                      expected.push_back("done");
                      check();
                      CHECK_FALSE(worker.HasDataflows());
                      return absl::OkStatus();
                    }));
  }
}

TEST_CASE("the stream that Output returns passes an epoch when its flush is done") {
  Collected<std::string> notes;
  ManualClock clock;
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    ProbeHandle<> written, flushed;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input(input) | Probe(written) | Output("out", SlowSink{&notes, 1, absl::Seconds(10)}) |
          Probe(flushed);
    }));
    auto step = [&] {
      for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
    };
    CHECK(flushed.frontier().Contains(0));
    input.Send(1);
    input.AdvanceTo(3);
    step();
    CHECK(notes.InOrder() == std::vector<std::string>{"1", "pending"});
    CHECK(written.frontier().Contains(3));
    CHECK(flushed.frontier().Contains(0));
    CHECK(flushed.LessThan(1));
    clock.Advance(absl::Seconds(10));
    step();
    CHECK(notes.InOrder().back() == "done");
    CHECK(flushed.frontier().Contains(3));
    input.Close();
    step();
    CHECK(flushed.frontier().empty());
    CHECK(flushed.Done());
    return absl::OkStatus();
  }));
}

TEST_CASE("nothing is written while a flush is pending, and the worker does not spin for it") {
  Collected<std::string> notes;
  ManualClock clock;
  CheckOk(Execute({.run = {.clock = &clock}}, [&](Worker& worker) -> absl::Status {
    InputHandle<int> input;
    internal::Graph* graph = nullptr;
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      graph = &scope.graph();
      scope.Input(input) | Output("out", SlowSink{&notes, 1, absl::Seconds(10)});
    }));
    std::vector<std::string> expected{"1", "pending"};
    auto check = [&] {
      for (int i = 0; i < 100; ++i) CheckOk(worker.Step());
      CHECK(notes.InOrder() == expected);
    };
    input.Send(1);
    input.AdvanceTo(1);
    check();
    input.Send(2);
    input.AdvanceTo(2);
    input.Send(3);
    input.Close();
    check();
    CHECK_FALSE(graph->HasWork());
    clock.Advance(absl::Seconds(10));
    for (const char* note : {"done", "2", "3", "pending"}) expected.push_back(note);
    check();
    clock.Advance(absl::Seconds(10));
    expected.push_back("done");  // one flush for both epochs, which had ended
    check();
    CHECK_FALSE(worker.HasDataflows());
    return absl::OkStatus();
  }));
}

// Flushes on another thread, which wakes the sink.
struct ThreadedSink {
  std::atomic<int64_t>* flushed;

  class Writer {
   public:
    Writer(std::atomic<int64_t>* flushed, ThreadActivator activator)
        : flushed_(flushed), activator_(std::move(activator)) {}
    Writer(Writer&&) = default;
    ~Writer() { REQUIRE_FALSE(thread_.joinable()); }

    absl::Status Write(int64_t) {
      ++written_;
      return absl::OkStatus();
    }
    absl::StatusOr<FlushState> Flush() {
      if (!thread_.joinable()) {
        done_ = std::make_unique<std::atomic<bool>>(false);
        thread_ = std::thread([this, done = done_.get()] {
          *flushed_ += std::exchange(written_, 0);
          *done = true;
          activator_.Activate();
        });
      }
      if (!*done_) return FlushState::Pending(absl::InfiniteDuration());
      thread_.join();
      return FlushState::Done();
    }

   private:
    std::atomic<int64_t>* flushed_;
    ThreadActivator activator_;
    int64_t written_ = 0;
    std::unique_ptr<std::atomic<bool>> done_;
    std::thread thread_;
  };
  absl::StatusOr<Writer> Open(const SinkContext& context) {
    return Writer(flushed, context.activator);
  }
};

TEST_CASE("another thread wakes a sink whose flush it has done") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    std::atomic<int64_t> flushed{0};
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) | Exchange("spread") |
          Output("out", ThreadedSink{&flushed});
    });
    CheckOk(RunMain(flow, {.worker_count = workers, .epoch_config = TestingEpochConfig{}}));
    CHECK(flushed == 100 * workers);
  }
}

TEST_CASE("a pending flush that fails ends the run") {
  struct Sink {
    struct Writer {
      int asked = 0;
      absl::Status Write(int64_t) { return absl::OkStatus(); }
      absl::StatusOr<FlushState> Flush() {
        if (asked++ < 3) return FlushState::Pending(absl::Nanoseconds(1));
        return absl::DataLossError("cannot flush");
      }
    };
    absl::StatusOr<Writer> Open(const SinkContext&) { return Writer(); }
  };
  for (int workers : kWorkerCounts) {
    Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(1)) | Output("bad", Sink());
    });
    CheckError(RunMain(flow, {.worker_count = workers}), StatusCode::kDataLoss,
               {"step 'bad'", "cannot flush"});
  }
}

TEST_CASE("TestingSink collects what all workers write, once the run is over") {
  for (int workers : kWorkerCounts) {
    std::vector<int64_t> collected;
    Dataflow flow("flow", [&, sink = TestingSink(&collected)](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) | Exchange("spread") | Output("out", sink);
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    std::sort(collected.begin(), collected.end());
    std::vector<int64_t> expected;
    for (int worker = 0; worker < workers; ++worker) {
      for (int64_t i = 0; i < 100; ++i) expected.push_back(worker * 1000 + i);
    }
    CHECK(collected == expected);
  }
}

}  // namespace
}  // namespace headway
