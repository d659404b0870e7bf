// ThreadInput and SocketLines: sources whose records come from threads.
#include "operators/io/thread_input.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "comm/system/file_descriptor.h"
#include "headway.h"
#include "tests/engine/run_helpers.h"
#include "tests/engine/thread_cluster.h"
#include "tests/temporary_directory.h"

namespace headway {
namespace {

TEST_CASE("records of several threads all arrive, those of one thread in its order") {
  for (int workers : kWorkerCounts) {
    for (size_t max_records : {1, 7, 1024}) {
      CAPTURE(workers);
      CAPTURE(max_records);
      constexpr int kThreads = 3;
      constexpr int kRecords = 5'000;
      ThreadInput<std::pair<int, int>> input(max_records);
      std::vector<std::thread> feeders;
      std::atomic<int> left{kThreads};
      for (int thread = 0; thread < kThreads; ++thread) {
        feeders.emplace_back([input, thread, &left] {
          for (int i = 0; i < kRecords; ++i) {
            if (!input.Send({thread, i}).ok()) std::abort();
          }
          if (--left == 0) input.Close();
        });
      }
      std::vector<int> next(kThreads, 0);
      int64_t count = 0;
      bool in_order = true;
      const Dataflow flow("flow", [&](Scope<>& scope) {
        scope.Input("input", input) | Inspect("check", [&](const std::pair<int, int>& record) {
          in_order = in_order && record.second == next[static_cast<size_t>(record.first)]++;
          ++count;
        });
      });
      CheckOk(RunMain(flow, {.worker_count = workers}));
      for (std::thread& feeder : feeders) feeder.join();
      CHECK(in_order);
      CHECK(count == kThreads * kRecords);
    }
  }
}

TEST_CASE("a full buffer refuses a record and leaves it, until the worker has emptied it") {
  ThreadInput<std::unique_ptr<int>> input(2);
  CHECK(input.TrySend(std::make_unique<int>(1)));
  CHECK(input.TrySend(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  CHECK_FALSE(input.TrySend(std::move(third)));
  REQUIRE(third != nullptr);
  std::vector<int> seen;
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    HEADWAY_RETURN_IF_ERROR(worker.Build("flow", [&](Scope<>& scope) {
      scope.Input("input", input) |
          Inspect("see", [&](const std::unique_ptr<int>& record) { seen.push_back(*record); });
    }));
    HEADWAY_RETURN_IF_ERROR(worker.StepWhile([&] { return seen.size() < 2; }));
    CHECK(input.TrySend(std::move(third)));
    input.Close();
    CHECK_FALSE(input.TrySend(std::make_unique<int>(4)));
    return absl::OkStatus();
  }));
  CHECK(seen == std::vector{1, 2, 3});
}

TEST_CASE("a sender that would wait for itself is told so") {
  CheckOk(Execute({}, [&](Worker& worker) -> absl::Status {
    ThreadInput<int> input(1);
    HEADWAY_RETURN_IF_ERROR(worker.Build(
        "flow", [&](Scope<>& scope) { scope.Input("input", input) | Inspect("see", [](int) {}); }));
    HEADWAY_RETURN_IF_ERROR(worker.Step());
    CheckOk(input.Send(1));
    CheckError(input.Send(2), absl::StatusCode::kFailedPrecondition, {"is full", "TrySend"});
    input.Close();
    return absl::OkStatus();
  }));
}

TEST_CASE("blocked senders return when the input is closed, and when its dataflow ends") {
  for (const bool close : {true, false}) {
    ThreadInput<int> input(1);
    StopHandle stop;
    std::vector<absl::Status> refused(2);
    std::vector<std::thread> feeders;
    std::atomic<int> sent{0};
    for (absl::Status& status : refused) {
      feeders.emplace_back([input, &status, &sent] {
        while (status.ok()) {
          status = input.Send(1);
          ++sent;
        }
      });
    }
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("input", input) | Inspect("end", [&](int) {
        if (sent < 1'000) return;
        close ? input.Close() : stop.RequestStop();
      });
    });
    CheckOk(RunMain(flow, {.stop = stop}));
    for (std::thread& feeder : feeders) feeder.join();
    for (const absl::Status& status : refused) {
      CheckError(status, absl::StatusCode::kFailedPrecondition,
                 {close ? "ThreadInput" : "the dataflow of the ThreadInput has ended"});
    }
    CHECK(input.closed());
  }
}

TEST_CASE("an input feeds one dataflow") {
  ThreadInput<int> input;
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("first", input) | Inspect("a", [](int) {});
    scope.Input("second", input) | Inspect("b", [](int) {});
  });
  CheckError(RunMain(flow), absl::StatusCode::kFailedPrecondition,
             {"step 'second'", "feeds another dataflow"});
}

TEST_CASE("a callback runs on the thread of worker 0 with every record that is gathered there") {
  for (int workers : kWorkerCounts) {
    CAPTURE(workers);
    const std::thread::id host = std::this_thread::get_id();
    std::vector<std::string> seen;
    bool on_host = true;
    const Dataflow flow("flow", [&](Scope<>& scope) {
      scope.Input("numbers", NumbersOfEachWorker(100)) |
          Map("text", [](int64_t x) { return std::to_string(x); }) | Gather("gather") |
          Output("call", CallbackSink([&](std::string_view text) {
                   on_host = on_host && std::this_thread::get_id() == host;
                   seen.emplace_back(text);
                 }));
    });
    CheckOk(RunMain(flow, {.worker_count = workers}));
    CHECK(on_host);
    CHECK(seen.size() == 100 * static_cast<size_t>(workers));
  }
}

TEST_CASE("the error of a callback ends the run and names the step") {
  const Dataflow flow("flow", [&](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(100)) |
        Output("call", CallbackSink([](int64_t x) {
                 return x == 7 ? absl::DataLossError("seven") : absl::OkStatus();
               }));
  });
  CheckError(RunMain(flow), absl::StatusCode::kDataLoss, {"step 'call'", "seven"});
}

// A peer of SocketLines, whose calls block. Addresses are those of SocketLines, with numbers.
class Peer {
 public:
  static Peer Connected(const std::string& address) {
    Peer peer;
    peer.At(address, [&peer](const sockaddr* name, socklen_t size) {
      REQUIRE(connect(peer.socket_.get(), name, size) == 0);
    });
    return peer;
  }
  // Connections are refused until it listens.
  static Peer Bound(const std::string& address) {
    Peer peer;
    peer.At(address, [&peer](const sockaddr* name, socklen_t size) {
      REQUIRE(bind(peer.socket_.get(), name, size) == 0);
    });
    return peer;
  }
  void Listen() { REQUIRE(listen(socket_.get(), 1) == 0); }
  Peer Accepted() const {
    Peer peer;
    peer.socket_ = internal::FileDescriptor(accept(socket_.get(), nullptr, nullptr));
    REQUIRE(peer.socket_.is_open());
    return peer;
  }

  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      REQUIRE(sent > 0);
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Returns false if nothing can be sent for some time.
  bool CanSend() {
    pollfd polled{socket_.get(), POLLOUT, 0};
    return poll(&polled, 1, 200) == 1;
  }
  // Waits for the end of the connection.
  bool IsClosedByPeer() {
    char byte;
    return recv(socket_.get(), &byte, 1, 0) <= 0;
  }
  int port() const {
    sockaddr_in name = {};
    socklen_t size = sizeof(name);
    REQUIRE(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
    return ntohs(name.sin_port);
  }

 private:
  template <class Call>
  void At(const std::string& address, const Call& call) {
    if (address.starts_with("unix:")) {
      sockaddr_un name = {};
      name.sun_family = AF_UNIX;
      std::strncpy(name.sun_path, address.c_str() + 5, sizeof(name.sun_path) - 1);
      socket_ = internal::FileDescriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      call(reinterpret_cast<const sockaddr*>(&name), sizeof(name));
    } else {
      sockaddr_in name = {};
      name.sin_family = AF_INET;
      name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      name.sin_port =
          htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
      socket_ = internal::FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      call(reinterpret_cast<const sockaddr*>(&name), sizeof(name));
    }
  }

  internal::FileDescriptor socket_;
};

// Runs the source, and calls `see` with each line.
absl::Status RunSocket(const SocketLines& source, const std::function<void(std::string_view)>& see,
                       const RunOptions& options = {}, Shape shape = {1, 1}) {
  const Dataflow flow("flow",
                      [&](Scope<>& scope) { scope.Input("lines", source) | Inspect("see", see); });
  return RunInShape(flow, shape, options);
}

TEST_CASE("lines of several clients come whole and in the order of each, in every shape") {
  for (const Shape shape : {Shape{1, 1}, Shape{1, 3}, Shape{2, 2}}) {
    for (const bool unix_socket : {false, true}) {
      CAPTURE(shape.processes);
      CAPTURE(unix_socket);
      TemporaryDirectory dir;
      constexpr int kClients = 3;
      constexpr int kLines = 2'000;
      std::vector<std::thread> clients;
      RunOptions options;
      const auto listening = [&](const std::string& address) {
        for (int client = 0; client < kClients; ++client) {
          clients.emplace_back([address, client] {
            Peer peer = Peer::Connected(address);
            std::string text;
            for (int i = 0; i < kLines; ++i) {
              text +=
                  std::to_string(client) + ":" + std::to_string(i) + (i % 2 == 0 ? "\n" : "\r\n");
            }
            text += "\nend";  // the last line has no end
            for (size_t at = 0; at < text.size(); at += 1 + 7 * (at % 100)) {
              peer.Send(std::string_view(text).substr(at, 1 + 7 * (at % 100)));
            }
          });
        }
      };
      std::map<char, int> next;
      bool in_order = true;
      int empty = 0;
      int ends = 0;
      const std::string address =
          unix_socket ? "unix:" + dir / "socket" : std::string("127.0.0.1:0");
      CheckOk(RunSocket(
          SocketLines::ListenAt(address, {.on_listening = listening}),
          [&](std::string_view line) {
            if (line.empty()) {
              ++empty;
            } else if (line == "end") {
              if (++ends == kClients) options.stop.RequestStop();
            } else {
              in_order = in_order && line.substr(2) == std::to_string(next[line[0]]++);
            }
          },
          options, shape));
      for (std::thread& client : clients) client.join();
      CHECK(in_order);
      CHECK(next == std::map<char, int>{{'0', kLines}, {'1', kLines}, {'2', kLines}});
      CHECK(empty == kClients);
      CHECK_FALSE(std::filesystem::exists(dir / "socket"));
    }
  }
}

TEST_CASE("a client of a slow dataflow cannot send, and loses nothing") {
  const std::string line = std::string(65'535, 'x') + "\n";
  constexpr int kLines = 1'000;  // more than the buffers of the system hold
  std::atomic<bool> was_blocked{false};
  std::thread client;
  const auto listening = [&](const std::string& address) {
    client = std::thread([&, address] {
      Peer peer = Peer::Connected(address);
      for (int i = 0; i < kLines; ++i) {
        if (!peer.CanSend()) {
          was_blocked = true;
          was_blocked.notify_all();
        }
        peer.Send(line);
      }
    });
  };
  RunOptions options;
  int lines = 0;
  CheckOk(RunSocket(
      SocketLines::ListenAt("127.0.0.1:0", {.on_listening = listening}),
      [&](std::string_view) {
        if (lines == 0) was_blocked.wait(false);
        if (++lines == kLines) options.stop.RequestStop();
      },
      options));
  client.join();
  CHECK(was_blocked);
}

TEST_CASE("limits of a socket: a long line ends its client alone, and clients wait for others") {
  std::thread clients;
  const auto listening = [&](const std::string& address) {
    clients = std::thread([address] {
      Peer first = Peer::Connected(address);
      first.Send("12345\n");
      Peer second = Peer::Connected(address);
      second.Send("second\n");
      first.Send("1234\n1234567\nlost\n");
      CHECK(first.IsClosedByPeer());
      second.Send("end\n");
      CHECK(second.IsClosedByPeer());
    });
  };
  RunOptions options;
  std::vector<std::string> lines;
  absl::Status problem;
  CheckOk(RunSocket(
      SocketLines::ListenAt("127.0.0.1:0",
                            {.max_line_bytes = 6,
                             .max_clients = 1,
                             .on_listening = listening,
                             .on_problem = [&](const absl::Status& status) { problem = status; }}),
      [&](std::string_view line) {
        lines.emplace_back(line);
        if (line == "end") options.stop.RequestStop();
      },
      options));
  clients.join();
  CHECK(lines == std::vector<std::string>{"12345", "1234", "second", "end"});
  CheckError(problem, absl::StatusCode::kInvalidArgument, {"a line of more than 6 bytes"});
}

TEST_CASE("a source that connects waits for its peer, and connects again when it is lost") {
  for (const bool unix_socket : {false, true}) {
    TemporaryDirectory dir;
    Peer listener = Peer::Bound(unix_socket ? "unix:" + dir / "socket" : "127.0.0.1:0");
    const std::string address =
        unix_socket ? "unix:" + dir / "socket" : "127.0.0.1:" + std::to_string(listener.port());
    std::thread server;
    const auto serve = [&](const absl::Status& problem) {
      if (server.joinable()) return;
      CheckError(problem, absl::StatusCode::kUnavailable, {"cannot connect to '" + address + "'"});
      listener.Listen();
      server = std::thread([&] {
        listener.Accepted().Send("a\nb");
        Peer last = listener.Accepted();
        last.Send("c\nlast\n");
        CHECK(last.IsClosedByPeer());
      });
    };
    RunOptions options;
    std::vector<std::string> lines;
    CheckOk(RunSocket(
        SocketLines::ConnectTo(address,
                               {.retry_interval = absl::Milliseconds(1), .on_problem = serve}),
        [&](std::string_view line) {
          lines.emplace_back(line);
          if (line == "last") options.stop.RequestStop();
        },
        options));
    server.join();
    CHECK(lines == std::vector<std::string>{"a", "b", "c", "last"});
  }
}

TEST_CASE("without retries the input ends with its connection, and needs one") {
  Peer listener = Peer::Bound("127.0.0.1:0");
  const std::string address = "127.0.0.1:" + std::to_string(listener.port());
  const auto source = [&](size_t max_line_bytes) {
    return SocketLines::ConnectTo(
        address, {.max_line_bytes = max_line_bytes, .retry_interval = absl::InfiniteDuration()});
  };
  std::vector<std::string> lines;
  const auto see = [&](std::string_view line) { lines.emplace_back(line); };
  CheckError(RunSocket(source(6), see), absl::StatusCode::kUnavailable,
             {"step 'lines'", "cannot connect to '" + address});
  listener.Listen();
  const auto send_once = [&] { listener.Accepted().Send("a\nlonger"); };
  std::thread server(send_once);
  CheckOk(RunSocket(source(6), see));
  server.join();
  CHECK(lines == std::vector<std::string>{"a", "longer"});
  server = std::thread(send_once);
  CheckError(RunSocket(source(5), see), absl::StatusCode::kInvalidArgument,
             {"step 'lines'", address, "more than 5 bytes"});
  server.join();
}

TEST_CASE("an address of a socket that cannot be had is an error that names it") {
  TemporaryDirectory dir;
  const auto ignore = [](std::string_view) {};
  const auto listen = [&](const std::string& address, RunOptions options = {}) {
    return RunSocket(
        SocketLines::ListenAt(
            address,
            {.on_listening = [&options](const std::string&) { options.stop.RequestStop(); }}),
        ignore, options);
  };
  const std::string path = dir / "socket";
  {
    const Peer dead = Peer::Bound("unix:" + path);
  }
  REQUIRE(std::filesystem::exists(path));
  CheckOk(listen("unix:" + path));  // its listener is gone
  CheckOk(listen("localhost:0"));
  Peer present = Peer::Bound("unix:" + path);
  present.Listen();
  CheckError(listen("unix:" + path), absl::StatusCode::kUnavailable,
             {"step 'lines'", "cannot listen at 'unix:" + path, "in use"});
  Peer other = Peer::Bound("127.0.0.1:0");
  other.Listen();
  const std::string taken = "127.0.0.1:" + std::to_string(other.port());
  CheckError(listen(taken), absl::StatusCode::kUnavailable,
             {"step 'lines'", "cannot listen at '" + taken, "in use"});
  CheckError(listen("unix:" + std::string(200, 'x')), absl::StatusCode::kInvalidArgument,
             {"step 'lines'", "1 to 107 bytes"});
  CheckError(listen("localhost"), absl::StatusCode::kInvalidArgument,
             {"step 'lines'", "'localhost' has no port"});
  CheckError(RunSocket(SocketLines::ConnectTo("localhost:0"), ignore),
             absl::StatusCode::kInvalidArgument, {"step 'lines'", "from 1 to 65535"});
  CheckError(RunSocket(SocketLines::ListenAt("localhost:0", {.max_clients = 0}), ignore),
             absl::StatusCode::kInvalidArgument, {"step 'lines'", "max_clients"});
}

}  // namespace
}  // namespace headway
