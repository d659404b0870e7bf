// A mesh refuses malformed frames of a member of the cluster.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "comm/mesh/tcp_mesh.h"
#include "tests/comm/mesh/mesh_helpers.h"
#include "tests/comm/wire/frame_samples.h"

namespace headway::internal {
namespace {

// Process 0 over a socket, and a test that speaks for process 1.
struct Impostor {
  explicit Impostor(MeshOptions changed = TestOptions(2)) : options(std::move(changed)) {
    const auto [ours, theirs] = SocketPair();
    socket = FileDescriptor(ours);
    options.process_id = 0;
    connecting = std::thread([this, theirs = theirs] {
      const int sockets[] = {-1, theirs};
      mesh = TcpMesh::FromSockets(options, sockets);
    });
  }
  ~Impostor() {
    if (connecting.joinable()) connecting.join();
  }
  // Shakes hands, so that later frames come from a member.
  void Join() {
    Write(socket.get(), encoder.Hello(HelloOf(options, 1)));
    Write(socket.get(), encoder.Proof({}));
    connecting.join();
    REQUIRE_MESSAGE(mesh.ok(), mesh.status().ToString());
    CHECK_FALSE(ReadFrame(socket.get()).empty());
    CHECK_FALSE(ReadFrame(socket.get()).empty());
  }
  absl::Status WaitForLoss() {
    TcpMesh* const meshes[] = {mesh->get()};
    PollUntil(meshes, {&recorder, 1}, [&] { return !recorder.losses.empty(); });
    return recorder.losses[0].second;
  }

  MeshOptions options;
  FileDescriptor socket;
  std::thread connecting;
  MeshOr mesh = absl::UnknownError("");
  FrameEncoder encoder;
  Recorder recorder;
};

TEST_CASE("garbage over a given socket is a failure that names the process") {
  {
    Impostor impostor;
    Write(impostor.socket.get(), "GET / HTTP/1.1\r\n");
    impostor.connecting.join();
    CHECK(absl::IsInvalidArgument(impostor.mesh.status()));
    CHECK(impostor.mesh.status().message().find("process 1: malformed frame") == 0);
  }
  {
    Impostor impostor;
    impostor.socket.Close();
    impostor.connecting.join();
    CHECK(impostor.mesh.status() ==
          absl::UnavailableError("process 1: connection lost during the handshake"));
  }
  {
    MeshOptions options = TestOptions(2);
    options.connect_timeout = absl::Milliseconds(50);
    Impostor impostor(options);
    impostor.connecting.join();
    CHECK(impostor.mesh.status() ==
          absl::UnavailableError("process 0 still misses, after 50ms, process 1"));
    Drain(impostor.socket.get());
  }
}

TEST_CASE("a member that sends something else than frames is lost, and told why") {
  const auto lost_after = [](const std::function<void(Impostor&)>& send) {
    MeshOptions options = TestOptions(2);
    options.max_frame_bytes = size_t{1} << 20;
    Impostor impostor(options);
    impostor.Join();
    send(impostor);
    const absl::Status status = impostor.WaitForLoss();
    if (absl::IsInvalidArgument(status)) {
      const Bytes last = ReadFrame(impostor.socket.get());
      REQUIRE(last.size() >= kFrameAlignment);
      CHECK(Receive(last));
      const auto* frame = flatbuffers::GetSizePrefixedRoot<wire::Frame>(last.data());
      REQUIRE(frame->body_as_Abort() != nullptr);
      CHECK(ReadAbort(*frame).message().find("process 0 gave up process 1: malformed frame") == 0);
    }
    return std::string(status.message());
  };
  const auto starts = [](const std::string& text, const char* with) {
    CHECK_MESSAGE(text.starts_with(with), text);
  };
  starts(lost_after([](Impostor& i) { Write(i.socket.get(), "GET / HTTP/1.1\r\n"); }),
         "process 1: malformed frame: its size, 542393675 bytes");
  starts(lost_after([](Impostor& i) {
           const uint32_t prefix = (2 << 20) - 4;
           Write(i.socket.get(), std::as_bytes(std::span(&prefix, 1)));
         }),
         "process 1: malformed frame: it has 2097152 bytes, and the limit is 1048576");
  starts(lost_after([](Impostor& i) {
           Bytes zeros(128);
           zeros[0] = std::byte{124};
           Write(i.socket.get(), zeros);
         }),
         "process 1: malformed frame: ");
  starts(lost_after(
             [](Impostor& i) { Write(i.socket.get(), i.encoder.Hello(HelloOf(i.options, 1))); }),
         "process 1: malformed frame: a second handshake");
  starts(lost_after([](Impostor& i) {  // half a frame, and the end
           Write(i.socket.get(), i.encoder.Heartbeat().first(32));
           shutdown(i.socket.get(), SHUT_WR);
         }),
         "process 1: connection lost");
}

TEST_CASE("frames that come in pieces are put together") {
  Impostor impostor;
  impostor.Join();
  TcpMesh* const meshes[] = {impostor.mesh->get()};
  size_t expected = 0;
  for (const Bytes& sample : SampleFrames()) {
    if (sample.empty() ||
        flatbuffers::GetSizePrefixedRoot<wire::Frame>(sample.data())->body_as_Hello() != nullptr) {
      continue;
    }
    const auto kind = flatbuffers::GetSizePrefixedRoot<wire::Frame>(sample.data())->body_type();
    if (kind == wire::Body::Proof || kind == wire::Body::Heartbeat) continue;
    ++expected;
    for (const std::byte byte : sample) {
      Write(impostor.socket.get(), std::span(&byte, 1));
      impostor.mesh->get()->Poll(impostor.recorder);
    }
    PollUntil(meshes, {&impostor.recorder, 1},
              [&] { return impostor.recorder.frames.size() == expected; });
    CHECK(impostor.recorder.frames.back().bytes == sample);
  }
  CHECK(impostor.recorder.losses.empty());
}

}  // namespace
}  // namespace headway::internal
