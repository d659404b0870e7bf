// HttpSink, against a small server on a loopback address.
#include "operators/http/http_sink.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "headway.h"
#include "tests/comm/test_seed.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/store/memory_store.h"
#include "tests/engine/thread_cluster.h"
#include "tests/operators/http_server.h"

namespace headway {
namespace {

using absl::StatusCode;

using Request = internal::HttpRequest;

// Answers requests by a function, which returns the lines of the answer's head, or "" to break the
// connection.
class Server {
 public:
  explicit Server(const std::function<std::string(const Request&)>& handler)
      : server_([handler](const Request& request) {
          return internal::HttpReply{handler(request), "reason"};
        }) {}

  std::string url() const { return "http://user:secret@" + server_.address() + "/in?token=1"; }

 private:
  internal::HttpServer server_;
};

// Requests by their keys. Thread safe.
class Received {
 public:
  // Returns false, and keeps nothing, if the key is known. Its body must be the same then.
  bool Add(const Request& request) {
    const std::lock_guard lock(mutex_);
    last_type_ = request.headers.contains("content-type") ? request.headers.at("content-type") : "";
    const auto [entry, is_new] =
        bodies_.emplace(request.headers.at("idempotency-key"), request.body);
    if (entry->second != request.body) ++contradictions_;
    return is_new;
  }
  // The lines of all bodies, sorted.
  std::vector<int> Numbers() const {
    const std::lock_guard lock(mutex_);
    std::vector<int> numbers;
    for (const auto& [key, body] : bodies_) {
      for (size_t at = 0; at < body.size(); at = body.find('\n', at) + 1) {
        numbers.push_back(std::stoi(body.substr(at)));
      }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }
  std::vector<std::string> Bodies() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> bodies;
    for (const auto& [key, body] : bodies_) bodies.push_back(body);
    return bodies;
  }
  size_t size() const { return Bodies().size(); }
  int contradictions() const {
    const std::lock_guard lock(mutex_);
    return contradictions_;
  }
  std::string last_type() const {
    const std::lock_guard lock(mutex_);
    return last_type_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> bodies_;
  int contradictions_ = 0;
  std::string last_type_;
};

template <class Sink>
Dataflow NumbersInto(int end, const Sink& sink) {
  return Dataflow("numbers", [end, sink](Scope<>& scope) {
    scope.Input("numbers", TestingSource(NumbersTo(end))) | Output("out", sink);
  });
}

TEST_CASE("records are posted once, in batches, in every shape") {
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    Received received;
    std::atomic<int> wrong{0};
    const Server server([&](const Request& request) {
      const auto& headers = request.headers;
      if (headers.at("content-type") != "application/x-ndjson" || headers.at("x-own") != "a b" ||
          std::count(request.body.begin(), request.body.end(), '\n') > 4 ||
          !received.Add(request)) {
        ++wrong;
      }
      return "200 OK";
    });
    const auto sink = HttpSink(server.url(), {.headers = {{"X-Own", "a b"}}, .max_records = 4});
    CheckOk(RunInShape(NumbersInto(25, sink), shape, {.epoch_config = RecordCountEpochConfig{10}}));
    CHECK(received.Numbers() == NumbersTo(25));
    CHECK(received.size() >= 7);
    CHECK(wrong == 0);
  }
}

TEST_CASE("a body is lines or an array of JSON, or the bytes of the user's function") {
  Received received;
  const Server server([&](const Request& request) {
    received.Add(request);
    return "204 No Content";
  });
  const std::vector<std::string> records = {"a", "\"b"};
  const auto post = [&](const auto& sink) {
    return RunMain(Dataflow("flow", [&](Scope<>& scope) {
      scope.Input("records", TestingSource(records)) | Output("out", sink);
    }));
  };
  CheckOk(post(HttpSink(server.url(), {.body = HttpBody::kJsonArray})));
  CHECK(received.Bodies() == std::vector<std::string>{R"(["a","\"b"])"});
  CHECK(received.last_type() == "application/json");
  const auto bytes = [](std::string_view record) { return "<" + std::string(record) + ">"; };
  CheckOk(post(HttpSink(server.url(),
                        {.body = HttpBody::kConcatenated, .headers = {{"content-type", "x/y"}}},
                        bytes)));
  CHECK(received.size() == 2);
  CHECK(received.last_type() == "x/y");
  const auto bodies = received.Bodies();
  CHECK(std::find(bodies.begin(), bodies.end(), "<a><\"b>") != bodies.end());
  // A large record has a request of its own.
  CheckOk(post(HttpSink(server.url(), {.max_bytes = 1})));
  CHECK(received.size() == 4);
  CheckError(post(HttpSink(server.url(), {},
                           [](std::string_view) -> absl::StatusOr<std::string> {
                             return absl::InvalidArgumentError("no such record");
                           })),
             StatusCode::kInvalidArgument, {"step 'out'", "no such record"});
}

TEST_CASE("a request that may succeed later is sent again, with its key") {
  Received received;
  std::atomic<int> calls{0};
  const Server server([&](const Request& request) -> std::string {
    const int call = calls++;
    if (call % 2 == 1) received.Add(request);
    switch (call) {
      case 0:
        return "429 Too Many Requests\r\nRetry-After: 0";
      case 1:  // it has the request, and nobody knows
        return "";
      case 2:
        return "503 Service Unavailable";
      default:
        received.Add(request);
        return "200 OK";
    }
  });
  const auto sink =
      HttpSink(server.url(), {.max_records = 5, .retry_interval = absl::Milliseconds(1)});
  CheckOk(RunMain(NumbersInto(10, sink)));
  CHECK(received.Numbers() == NumbersTo(10));
  CHECK(received.contradictions() == 0);
  CHECK(calls == 5);
}

TEST_CASE("a server that accepts nothing, or is away, ends the run with an error") {
  const Server busy([](const Request&) { return "500 Internal Server Error"; });
  const HttpSinkOptions options{.retry_interval = absl::Milliseconds(1),
                                .give_up_after = absl::Milliseconds(20)};
  const absl::Status status = RunMain(NumbersInto(1, HttpSink(busy.url(), options)));
  CheckError(status, StatusCode::kUnavailable,
             {"step 'out'", "http://127.0.0.1", "within 20ms", "status 500: reason"});
  CHECK(status.message().find("secret") == std::string::npos);
  CHECK(status.message().find("token") == std::string::npos);
  const Server slow([](const Request&) { return ""; });
  CheckError(RunMain(NumbersInto(1, HttpSink(slow.url(), options))), StatusCode::kUnavailable,
             {"step 'out'", "did not accept"});
  for (const std::string url : {"host:80", "ftp://host/", "http://", ""}) {
    CheckError(RunMain(NumbersInto(1, HttpSink(url))), StatusCode::kInvalidArgument,
               {"step 'out'", "the URL is malformed"});
  }
  CheckError(RunMain(NumbersInto(1, HttpSink(busy.url(), {.headers = {{"A", "b\r\nC: d"}}}))),
             StatusCode::kInvalidArgument, {"step 'out'", "the header 'A'"});
  CheckError(RunMain(NumbersInto(1, HttpSink(busy.url(), {.max_records = 0}))),
             StatusCode::kInvalidArgument, {"step 'out'", "max_records"});
}

TEST_CASE("a rejected request ends the run, or its records are dropped if the caller says so") {
  Received received;
  const Server server([&](const Request& request) {
    if (request.body.starts_with("2\n")) return "422 Unprocessable Entity";
    received.Add(request);
    return "200 OK";
  });
  HttpSinkOptions options{.max_records = 2};
  CheckError(RunMain(NumbersInto(6, HttpSink(server.url(), options))),
             StatusCode::kFailedPrecondition,
             {"step 'out'", "rejected a request of 4 bytes", "status 422: reason", "on_rejected"});
  Received others;
  options.on_rejected = [&](const HttpRejection& rejection) {
    others.Add({.headers = {{"idempotency-key", std::string(rejection.key)}},
                .body = std::string(rejection.request)});
    CHECK(rejection.status_code == 422);
    CHECK(rejection.answer == "reason");
    return absl::OkStatus();
  };
  CheckOk(RunMain(NumbersInto(6, HttpSink(server.url(), options))));
  CHECK(others.Numbers() == std::vector{2, 3});
}

TEST_CASE("a run that fails ends while the server is silent") {
  std::atomic<bool> has_request{false};
  std::atomic<bool> is_over{false};
  const Server server([&](const Request&) {
    has_request = true;
    is_over.wait(false);
    return "";
  });
  const auto sink = HttpSink(server.url(), {.timeout = absl::Hours(1)});
  CheckError(Execute({},
                     [&](Worker& worker) -> absl::Status {
                       absl::Status status = worker.Build("flow", [&](Scope<>& scope) {
                         scope.Input("numbers", TestingSource(NumbersTo(3))) | Output("out", sink);
                       });
                       while (status.ok() && !has_request) status = worker.Step();
                       return status.ok() ? absl::AbortedError("failed") : status;
                     }),
             StatusCode::kAborted, {"failed"});
  is_over = true;
  is_over.notify_all();
}

TEST_CASE("runs that fail at any request and resume in another shape have each record once") {
  std::mt19937_64 random(internal::TestSeed("http sink"));
  for (int round = 0; round < 5; ++round) {
    Received received;
    std::atomic<int> calls_left{0};
    std::atomic<bool> has_it{false};
    const Server server([&](const Request& request) -> std::string {
      if (calls_left-- > 0) {
        received.Add(request);
        return "200 OK";
      }
      // The server may have a request that the run takes for lost.
      if (has_it) received.Add(request);
      return "400 Bad Request";
    });
    auto store = std::make_shared<internal::MemoryStore>();
    const Dataflow flow = NumbersInto(60, HttpSink(server.url(), {.max_records = 3}));
    absl::Status status = absl::UnknownError("");
    int runs = 0;
    for (; !status.ok() && runs < 100; ++runs) {
      has_it = random() % 2 == 0;
      calls_left = static_cast<int>(random() % static_cast<uint64_t>(8 + 4 * runs));
      status = RunInShape(flow, kShapes[random() % 7],
                          {.epoch_config = RecordCountEpochConfig{7},
                           .recovery_config = RecoveryConfig{.store = store}});
    }
    CheckOk(status);
    CHECK(runs > 1);
    CHECK(received.Numbers() == NumbersTo(60));
    CHECK(received.contradictions() == 0);
  }
}

}  // namespace
}  // namespace headway
