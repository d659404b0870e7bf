// Sinks that cannot write, and what a sink is told when.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <stdexcept>
#include <string>
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

// Notes what it is told.
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
