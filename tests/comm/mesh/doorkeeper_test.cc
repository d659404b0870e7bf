// Processes that connect to a complete cluster.
#include "comm/mesh/doorkeeper.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "comm/wire/wire_generated.h"
#include "tests/comm/mesh/mesh_helpers.h"

namespace headway::internal {
namespace {

// A cluster at work.
struct Running {
  explicit Running(int process_count, const MeshOptions& options)
      : ports(process_count), recorders(static_cast<size_t>(process_count)) {
    for (MeshOr& mesh : ConnectAll(options, ports.addresses())) {
      REQUIRE_MESSAGE(mesh.ok(), mesh.status().ToString());
      owned.push_back(*std::move(mesh));
      all.push_back(owned.back().get());
    }
  }
  void PollUntil(const std::function<bool()>& done) { internal::PollUntil(all, recorders, done); }

  // How a process with these options and addresses fares that starts now.
  absl::Status Start(const MeshOptions& options, const std::vector<std::string>& addresses) {
    absl::Status status;
    std::atomic<bool> ended{false};
    std::thread late([&] {
      status = TcpMesh::Connect(options, addresses).status();
      ended = true;
    });
    PollUntil([&] { return ended.load(); });
    late.join();
    return status;
  }

  // Checks that frames still pass, and that nobody was lost.
  void CheckAtWork() {
    FrameEncoder encoder;
    for (Recorder& recorder : recorders) recorder.frames.clear();
    for (size_t from = 0; from < all.size(); ++from) {
      for (size_t to = 0; to < all.size(); ++to) {
        if (from == to) continue;
        all[from]->Send(static_cast<int>(to),
                        {.frame_class = FrameClass::kProgress, .head = encoder.Progress({})});
      }
    }
    PollUntil([&] {
      return std::ranges::all_of(
          recorders, [&](const Recorder& each) { return each.frames.size() == all.size() - 1; });
    });
    for (const Recorder& recorder : recorders) CHECK(recorder.losses.empty());
  }

  ReservedPorts ports;
  std::vector<std::unique_ptr<TcpMesh>> owned;
  std::vector<TcpMesh*> all;
  std::vector<Recorder> recorders;
};

TEST_CASE("a second process with an id is told so at once when the cluster is at work already") {
  for (const char* secret : {"", "a secret"}) {
    MeshOptions options = TestOptions(3);
    options.secret = secret;
    Running running(3, options);
    for (int twin = 0; twin < 3; ++twin) {
      for (const bool elsewhere : {false, true}) {
        // The first has no smaller ids to ask.
        if (twin == 0 && elsewhere) continue;
        CAPTURE(twin);
        CAPTURE(elsewhere);
        std::vector<std::string> addresses = running.ports.addresses();
        const ReservedPorts other(1);
        if (elsewhere) addresses[static_cast<size_t>(twin)] = other.addresses()[0];
        options.process_id = twin;
        const absl::Status status = running.Start(options, addresses);
        CHECK_MESSAGE(absl::IsFailedPrecondition(status), status.ToString());
        CHECK_MESSAGE(status.message().find("two processes have the id of process " +
                                            std::to_string(twin)) != std::string::npos,
                      status.ToString());
      }
    }
    running.CheckAtWork();
  }
}

TEST_CASE("one without the secret of a cluster at work is told that") {
  MeshOptions options = TestOptions(2);
  options.secret = "a secret";
  Running running(2, options);
  options.secret = "";
  options.process_id = 1;
  std::vector<std::string> addresses = running.ports.addresses();
  const ReservedPorts other(1);
  addresses[1] = other.addresses()[0];
  const absl::Status status = running.Start(options, addresses);
  CHECK_MESSAGE(absl::IsPermissionDenied(status), status.ToString());
  // With another secret it cannot believe the refusal, and tries until its time is over.
  options.secret = "another";
  options.connect_timeout = absl::Seconds(2);
  const absl::Status other_secret = running.Start(options, addresses);
  CHECK_MESSAGE(absl::IsPermissionDenied(other_secret), other_secret.ToString());
  CHECK(other_secret.message().find("process 0") != std::string::npos);
  running.CheckAtWork();
}

TEST_CASE("a stranger gets no proof of a secret from a cluster at work, whatever it claims") {
  MeshOptions options = TestOptions(2);
  options.secret = "a secret";
  Running running(2, options);
  FrameEncoder encoder;
  for (const uint32_t claimed : {0U, 1U, 7U}) {
    FileDescriptor stranger = ConnectTo(running.ports.addresses()[0]);
    HelloFields hello = HelloOf(options, static_cast<int>(claimed));
    hello.secret = true;
    Write(stranger.get(), encoder.Hello(hello));
    Write(stranger.get(), encoder.Proof(std::vector<std::byte>(kMacBytes)));
    std::vector<wire::Body> kinds;
    std::atomic<bool> ended{false};
    std::thread reading([&] {
      for (auto frame = ReadFrame(stranger.get()); !frame.empty();
           frame = ReadFrame(stranger.get())) {
        kinds.push_back(flatbuffers::GetSizePrefixedRoot<wire::Frame>(frame.data())->body_type());
      }
      ended = true;
    });
    running.PollUntil([&] { return ended.load(); });
    reading.join();
    CHECK(kinds == std::vector{wire::Body::Hello, wire::Body::Abort});
  }
  running.CheckAtWork();
}

TEST_CASE("strangers do not disturb a cluster at work") {
  Running running(2, TestOptions(2));
  std::vector<FileDescriptor> strangers;
  const std::vector<std::byte> garbage(5000, std::byte{0x5a});
  for (int i = 0; i < 100; ++i) {
    strangers.push_back(ConnectTo(running.ports.addresses()[static_cast<size_t>(i % 2)]));
    if (i % 3 != 0) send(strangers.back().get(), garbage.data(), garbage.size(), MSG_NOSIGNAL);
    if (i % 3 == 2) strangers.pop_back();
    if (i % 10 == 0) running.CheckAtWork();
  }
  running.CheckAtWork();
}

TEST_CASE("who comes in the place of a process that was lost is not told to go away") {
  MeshOptions options = TestOptions(3);
  Running running(3, options);
  running.all.pop_back();
  running.owned.pop_back();
  running.recorders.pop_back();
  running.PollUntil([&] {
    return std::ranges::all_of(running.recorders,
                               [](const Recorder& each) { return each.losses.size() == 1; });
  });
  options.process_id = 2;
  options.connect_timeout = absl::Milliseconds(300);
  const absl::Status status = running.Start(options, running.ports.addresses());
  CHECK_MESSAGE(absl::IsUnavailable(status), status.ToString());
  CHECK_MESSAGE(status.message().find("still misses") != std::string::npos, status.ToString());
}

}  // namespace
}  // namespace headway::internal
