#include "comm/mesh/mesh_connect.h"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "comm/wire/handshake.h"
#include "tests/comm/mesh/mesh_helpers.h"
#include "tests/comm/wire/frame_samples.h"

namespace headway::internal {
namespace {

// The messages of a log hook.
struct Log {
  std::mutex mutex;
  std::string text;
  std::function<void(std::string_view)> hook() {
    return [this](std::string_view message) {
      std::lock_guard lock(mutex);
      text += std::string(message) + "\n";
    };
  }
};

TEST_CASE(
    "processes that differ end with what differs, on both sides, over sockets and addresses") {
  struct Difference {
    std::function<void(MeshOptions&)> change;
    absl::StatusCode code;
    const char* words;
  };
  const Difference differences[] = {
      {[](MeshOptions& o) { o.workers_per_process = 2; }, absl::StatusCode::kFailedPrecondition,
       "workers"},
      {[](MeshOptions& o) { o.cluster = "other"; }, absl::StatusCode::kFailedPrecondition,
       "'other'"},
      {[](MeshOptions& o) { o.generation = 7; }, absl::StatusCode::kFailedPrecondition,
       "generation 7"},
      {[](MeshOptions& o) { o.secret = "other"; }, absl::StatusCode::kPermissionDenied,
       "different secrets"},
      {[](MeshOptions& o) { o.secret = ""; }, absl::StatusCode::kPermissionDenied, "secret"},
  };
  for (const Difference& difference : differences) {
    for (const bool over_addresses : {false, true}) {
      MeshOptions options = TestOptions(2);
      options.secret = "secret";
      // The time for a process that proves the secret runs out.
      if (difference.code == absl::StatusCode::kPermissionDenied) {
        options.connect_timeout = absl::Milliseconds(500);
      }
      const auto change = [&](MeshOptions& own) {
        if (own.process_id == 1) difference.change(own);
      };
      const ReservedPorts ports(2);
      const std::vector<MeshOr> results = over_addresses
                                              ? ConnectAll(options, ports.addresses(), change)
                                              : ConnectPairs(options, false, change);
      for (size_t i = 0; i < 2; ++i) {
        const absl::Status& status = results[i].status();
        CHECK_MESSAGE(status.code() == difference.code, status.ToString());
        CHECK_MESSAGE(status.message().find(difference.words) != std::string::npos,
                      status.ToString());
        CHECK_MESSAGE(status.message().find("process 0") != std::string::npos, status.ToString());
        CHECK_MESSAGE(status.message().find("process 1") != std::string::npos, status.ToString());
      }
    }
  }
}

TEST_CASE("a process that fails to connect ends the others with its reason") {
  const ReservedPorts ports(3);
  const std::vector<MeshOr> results =
      ConnectAll(TestOptions(3), ports.addresses(), [](MeshOptions& own) {
        if (own.process_id == 2) own.workers_per_process = 9;
      });
  for (const MeshOr& result : results) {
    CHECK_MESSAGE(absl::IsFailedPrecondition(result.status()), result.status().ToString());
    CHECK(result.status().message().find("has 9") != std::string::npos);
  }
}

TEST_CASE("two processes with one id end the cluster, which is told the id and the address") {
  MeshOptions options = TestOptions(4);
  options.connect_timeout = absl::Seconds(5);
  for (int twin = 0; twin < 4; ++twin) {
    CAPTURE(twin);
    const ReservedPorts ports(4);
    const std::vector<MeshOr> results =
        ConnectAll(options, ports.addresses(), [twin](MeshOptions& own) {
          if (own.process_id == (twin + 1) % 4) own.process_id = twin;
        });
    const std::string expected = "two processes have the id of process " + std::to_string(twin) +
                                 " (" + ports.addresses()[static_cast<size_t>(twin)] + ")";
    for (const MeshOr& result : results) {
      CHECK_MESSAGE(absl::IsFailedPrecondition(result.status()), result.status().ToString());
      CHECK_MESSAGE(result.status().message().find(expected) != std::string::npos,
                    result.status().ToString());
    }
  }
}

TEST_CASE("a process whose address another program has does not wait for it for long") {
  const ReservedPorts ports(2);
  const FileDescriptor other_program = ListenAt(ports.addresses()[1]);
  MeshOptions options = TestOptions(2);
  options.process_id = 1;
  const absl::Time start = absl::Now();
  const absl::Status status = TcpMesh::Connect(options, ports.addresses()).status();
  CHECK(absl::Now() - start < options.connect_timeout / 2);
  CHECK(status ==
        absl::UnavailableError("process 1 (" + ports.addresses()[1] + "): cannot listen at " +
                               ports.addresses()[1] + ": Address already in use"));
}

TEST_CASE("processes with another order of addresses find out") {
  const ReservedPorts ports(3);
  std::vector<std::string> swapped = ports.addresses();
  std::swap(swapped[0], swapped[1]);
  std::vector<absl::Status> statuses(3);
  std::vector<std::thread> threads;
  for (int process = 0; process < 3; ++process) {
    threads.emplace_back([&, process] {
      MeshOptions options = TestOptions(3);
      options.connect_timeout = absl::Seconds(5);
      options.process_id = process;
      statuses[static_cast<size_t>(process)] =
          TcpMesh::Connect(options, process == 2 ? swapped : ports.addresses()).status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) {
    CHECK_MESSAGE(absl::IsFailedPrecondition(status), status.ToString());
    CHECK_MESSAGE(status.message().find("list of addresses") != std::string::npos,
                  status.ToString());
  }
}

TEST_CASE("who is missing after the time limit is named, with what was tried") {
  const ReservedPorts ports(3);
  MeshOptions options = TestOptions(3);
  options.process_id = 1;
  options.connect_timeout = absl::Milliseconds(100);
  Log log;
  options.log = log.hook();
  const auto& addresses = ports.addresses();
  const absl::Status status = TcpMesh::Connect(options, addresses).status();
  CHECK(status == absl::UnavailableError("process 1 (" + addresses[1] +
                                         ") still misses, after 100ms, process 0 (" + addresses[0] +
                                         "): connecting: Connection refused, process 2 (" +
                                         addresses[2] + ")"));
  CHECK(log.text ==
        "process 0 (" + addresses[0] + ") cannot be reached yet: connecting: Connection refused\n");
}

TEST_CASE(
    "a process that is asked to stop while others are missing does, and tells those that are not") {
  const ReservedPorts ports(3);
  const auto& addresses = ports.addresses();
  MeshOptions options = TestOptions(3);
  options.connect_timeout = absl::InfiniteDuration();
  std::atomic<bool> other_is_there = false;
  absl::Status other;
  std::thread thread([&, options]() mutable {
    options.process_id = 1;
    options.stop_requested = [&] {
      other_is_there = true;
      return false;
    };
    other = TcpMesh::Connect(options, addresses).status();
  });
  options.process_id = 2;
  options.stop_requested = [&] { return other_is_there.load(); };
  const absl::Status status = TcpMesh::Connect(options, addresses).status();
  CHECK(status == absl::CancelledError("process 2 (" + addresses[2] +
                                       ") was stopped before all processes were connected"));
  thread.join();
  CHECK(absl::IsCancelled(other));
  CHECK(other.message().find(status.message()) != std::string::npos);
}

TEST_CASE("an unknown host and wrong options are errors that say so") {
  const ReservedPorts ports(2);
  MeshOptions options = TestOptions(2);
  options.connect_timeout = absl::Milliseconds(50);
  options.process_id = 0;
  const std::vector<std::string> unknown = {"no-such-host.invalid:1", ports.addresses()[1]};
  const absl::Status no_host = TcpMesh::Connect(options, unknown).status();
  CHECK_MESSAGE(absl::IsUnavailable(no_host), no_host.ToString());
  CHECK(no_host.message().find("cannot resolve host 'no-such-host.invalid'") != std::string::npos);
  options.process_id = 1;
  const absl::Status no_peer = TcpMesh::Connect(options, unknown).status();
  CHECK_MESSAGE(absl::IsUnavailable(no_peer), no_peer.ToString());
  CHECK(no_peer.message().find("cannot resolve host 'no-such-host.invalid'") != std::string::npos);

  options.process_id = 2;
  CHECK(absl::IsInvalidArgument(TcpMesh::Connect(options, ports.addresses()).status()));
  options.process_id = 0;
  CHECK(absl::IsInvalidArgument(TcpMesh::Connect(options, {}).status()));
  const std::vector<std::string> remote = {ports.addresses()[0], "192.0.2.1:7"};
  CHECK(absl::IsInvalidArgument(TcpMesh::Connect(options, remote).status()));
  options.cluster = std::string(kMaxClusterNameBytes + 1, 'x');
  CHECK(absl::IsInvalidArgument(TcpMesh::Connect(options, ports.addresses()).status()));
  CHECK(absl::IsInvalidArgument(TcpMesh::FromSockets(TestOptions(2), {}).status()));
}

// Process 0 of a cluster with a secret, which waits for process 1.
struct Start {
  explicit Start(absl::Duration connect_timeout = absl::Seconds(30)) {
    options.secret = "secret";
    options.connect_timeout = connect_timeout;
    MeshOptions own = options;
    own.process_id = 0;
    own.log = log.hook();
    thread = std::thread([this, own] { first = TcpMesh::Connect(own, ports.addresses()); });
  }
  ~Start() {
    if (thread.joinable()) thread.join();
  }
  HelloFields HelloOfOne() const {
    HelloFields hello = HelloOf(options, 1);
    hello.secret = true;
    return hello;
  }
  // Connects, sends frames, and waits until the other end has enough of it.
  void Attack(const std::vector<Bytes>& frames) const {
    FileDescriptor stranger = ConnectTo(ports.addresses()[0]);
    for (const Bytes& frame : frames) Write(stranger.get(), frame);
    Drain(stranger.get());
  }

  const ReservedPorts ports{2};
  MeshOptions options = TestOptions(2);
  Log log;
  MeshOr first = absl::UnknownError("");
  std::thread thread;
};

Bytes Copied(std::span<const std::byte> frame) { return {frame.begin(), frame.end()}; }

// Frames of strangers that know the protocol, and not the secret.
std::vector<std::vector<Bytes>> Attacks(const HelloFields& good) {
  FrameEncoder encoder;
  const auto hello = [&](const std::function<void(HelloFields&)>& change) {
    HelloFields changed = good;
    change(changed);
    return Copied(encoder.Hello(changed));
  };
  const Bytes proof = Copied(encoder.Proof(Bytes(kMacBytes)));
  const Bytes no_proof = Copied(encoder.Proof({}));
  const Bytes abort = Copied(encoder.Abort(absl::InternalError("made up")));
  std::vector<std::vector<Bytes>> attacks = {{hello([](HelloFields& h) { h.secret = false; })}};
  const std::function<void(HelloFields&)> changes[] = {
      [](HelloFields&) {},
      [](HelloFields& h) { ++h.version; },
      [](HelloFields& h) { h.process = 0; },
      [](HelloFields& h) { h.process = 77; },
      [](HelloFields& h) { h.process_count = 3; },
      [](HelloFields& h) { h.generation = 7; },
      [](HelloFields& h) { h.workers_per_process = 9; },
      [](HelloFields& h) { h.cluster = "made up"; },
  };
  for (const auto& change : changes) {
    for (const Bytes& next : {proof, no_proof, abort}) attacks.push_back({hello(change), next});
  }
  return attacks;
}

TEST_CASE("strangers that know the protocol, and not the secret, do not disturb a start") {
  Start start;
  for (const std::vector<Bytes>& attack : Attacks(start.HelloOfOne())) start.Attack(attack);
  start.options.process_id = 1;
  MeshOr second = TcpMesh::Connect(start.options, start.ports.addresses());
  start.thread.join();
  CHECK_MESSAGE(start.first.ok(), start.first.status().ToString());
  CHECK_MESSAGE(second.ok(), second.status().ToString());
  CHECK(start.log.text.find("claims to be process 1") != std::string::npos);
  CHECK(start.log.text.find("made up") == std::string::npos);
  CHECK(std::ranges::count(start.log.text, '\n') < 10);  // the rate is limited
}

TEST_CASE("a process that was refused, and never came, is named when the time is over") {
  Start start(absl::Seconds(1));
  for (const std::vector<Bytes>& attack : Attacks(start.HelloOfOne())) start.Attack(attack);
  start.thread.join();
  const absl::Status status = start.first.status();
  CHECK_MESSAGE(absl::IsPermissionDenied(status), status.ToString());
  CHECK(status.message().find("still misses, after 1s, process 1 (" + start.ports.addresses()[1] +
                              "): a process in its place was refused: ") != std::string::npos);
  CHECK(status.message().find("made up") == std::string::npos);
}

// getaddrinfo for the tests below: the host "late.test" is unknown at first, then at an address of
// another machine, and then of this one.
std::atomic<int> lookups_of_late_host = 0;

}  // namespace
}  // namespace headway::internal

extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** found) {
  using Lookup = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto system = reinterpret_cast<Lookup>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host != nullptr && std::string_view(host) == "late.test") {
    switch (headway::internal::lookups_of_late_host++) {
      case 0:
        return EAI_AGAIN;
      case 1:
        return EAI_NONAME;
      case 2:
        host = "192.0.2.1";
        break;
      default:
        host = "127.0.0.1";
    }
  }
  return system(host, port, hints, found);
}

namespace headway::internal {
namespace {

TEST_CASE("a process waits until its own name is known, and is that of its machine") {
  const ReservedPorts ports(2);
  std::vector<std::string> addresses = ports.addresses();
  for (std::string& address : addresses) address.replace(0, address.find(':'), "late.test");
  MeshOptions options = TestOptions(2);
  options.secret = "secret";
  options.process_id = 0;
  Log log;
  options.log = log.hook();
  lookups_of_late_host = 0;
  MeshOr first = absl::UnknownError("");
  std::thread starting([&] { first = TcpMesh::Connect(options, addresses); });
  MeshOptions other = options;
  other.process_id = 1;
  const MeshOr second = TcpMesh::Connect(other, ports.addresses());
  starting.join();
  CHECK_MESSAGE(first.ok(), first.status().ToString());
  CHECK_MESSAGE(second.ok(), second.status().ToString());
  CHECK(lookups_of_late_host >= 4);
  CHECK(log.text.find("cannot listen yet: process 0 (late.test:") != std::string::npos);
}

TEST_CASE("a process whose own name stays unknown says so at the end, or stops when it is asked") {
  const ReservedPorts ports(2);
  const std::vector<std::string> addresses = {"no-such-host.invalid:1", ports.addresses()[1]};
  MeshOptions options = TestOptions(2);
  options.connect_timeout = absl::InfiniteDuration();
  std::atomic<bool> waits = false;
  options.log = [&](std::string_view) { waits = true; };
  options.stop_requested = [&] { return waits.load(); };
  CHECK(absl::IsCancelled(TcpMesh::Connect(options, addresses).status()));
  options.stop_requested = nullptr;
  options.connect_timeout = absl::Milliseconds(300);
  const absl::Status status = TcpMesh::Connect(options, addresses).status();
  CHECK_MESSAGE(absl::IsUnavailable(status), status.ToString());
  CHECK(status.message().find("cannot resolve host 'no-such-host.invalid'") != std::string::npos);
}

TEST_CASE("strangers do not disturb a start") {
  const ReservedPorts ports(2);
  MeshOptions options = TestOptions(2);
  Log log;
  options.log = log.hook();
  MeshOr first = absl::UnknownError("");
  options.process_id = 0;
  std::thread starting([&] { first = TcpMesh::Connect(options, ports.addresses()); });
  const std::string& where = ports.addresses()[0];
  FrameEncoder encoder;
  std::vector<FileDescriptor> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(ConnectTo(where));  // who never say anything
  const HelloFields hello = HelloOf(options, 1);
  const std::span<const std::byte> good = encoder.Hello(hello);
  const Bytes good_hello(good.begin(), good.end());
  {
    FileDescriptor browser = ConnectTo(where);
    Write(browser.get(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    Drain(browser.get());  // it is dropped
  }
  {
    FileDescriptor large = ConnectTo(where);  // more than a handshake takes
    const uint32_t prefix = (1 << 20) - 4;
    Write(large.get(), std::as_bytes(std::span(&prefix, 1)));
    Drain(large.get());
  }
  for (const Bytes& sample : SampleFrames()) {
    if (sample.empty() || sample.size() > 4096) continue;
    Bytes damaged = sample;
    damaged[8] ^= std::byte{0xFF};
    FileDescriptor stranger = ConnectTo(where);
    Write(stranger.get(), damaged);
    shutdown(stranger.get(), SHUT_WR);
    Drain(stranger.get());
  }
  {
    FileDescriptor aborting = ConnectTo(where);
    Write(aborting.get(), encoder.Abort(absl::InternalError("ha")));
    Drain(aborting.get());
  }
  FileDescriptor half = ConnectTo(where);  // and waits
  Write(half.get(), std::span(good_hello).first(30));
  {
    FileDescriptor quitter = ConnectTo(where);
    Write(quitter.get(), good_hello);
    CHECK_FALSE(ReadFrame(quitter.get()).empty());
    CHECK_FALSE(ReadFrame(quitter.get()).empty());
  }
  options.process_id = 1;
  MeshOr second = TcpMesh::Connect(options, ports.addresses());
  starting.join();
  CHECK_MESSAGE(first.ok(), first.status().ToString());
  CHECK_MESSAGE(second.ok(), second.status().ToString());
  CHECK(log.text.find("a connection was dropped: malformed frame") != std::string::npos);
  for (const FileDescriptor& each : silent) Drain(each.get());  // nobody is left waiting
  Drain(half.get());
}

TEST_CASE("a process that comes again while the others still wait is welcome") {
  const ReservedPorts ports(3);
  MeshOptions options = TestOptions(3);
  std::vector<MeshOr> results;
  for (int i = 0; i < 3; ++i) results.push_back(absl::UnknownError(""));
  const auto connect = [&](int process) {
    MeshOptions own = options;
    own.process_id = process;
    results[static_cast<size_t>(process)] = TcpMesh::Connect(own, ports.addresses());
  };
  std::thread zero(connect, 0);
  {
    // Process 1 shakes hands with process 0, waits for so long that it has to show that it lives,
    // and dies when it does so again.
    FileDescriptor early = ConnectTo(ports.addresses()[0]);
    FrameEncoder encoder;
    Write(early.get(), encoder.Hello(HelloOf(options, 1)));
    Write(early.get(), encoder.Proof({}));
    CHECK_FALSE(ReadFrame(early.get()).empty());
    CHECK_FALSE(ReadFrame(early.get()).empty());
    Write(early.get(), encoder.Heartbeat());
    Write(early.get(), encoder.Heartbeat().first(20));
  }
  std::thread one(connect, 1);
  std::thread two(connect, 2);
  zero.join();
  one.join();
  two.join();
  for (const MeshOr& result : results) CHECK_MESSAGE(result.ok(), result.status().ToString());
}

}  // namespace
}  // namespace headway::internal
