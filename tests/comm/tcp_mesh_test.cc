#include "headway/comm/tcp_mesh.h"

#include <doctest/doctest.h>

#include <cstring>

#include "mesh_helpers.h"
#include "wire_generated.h"

namespace headway::internal {
namespace {

constexpr int kProgress = static_cast<int>(wire::Body::Progress);

TEST_CASE("processes connect over addresses, whichever starts first, and exchange frames") {
  for (const char* secret : {"", "a secret"}) {
    ReservedPorts ports(3);
    MeshOptions options = TestOptions(3);
    options.secret = secret;
    std::vector<MeshOr> meshes = ConnectAll(options, ports.addresses());
    std::vector<TcpMesh*> all;
    for (const MeshOr& mesh : meshes) {
      REQUIRE_MESSAGE(mesh.ok(), mesh.status().ToString());
      all.push_back(mesh->get());
    }
    FrameEncoder encoder;
    const std::vector<std::byte> changes(64, std::byte{7});
    for (int from = 0; from < 3; ++from) {
      for (int to = 0; to < 3; ++to) {
        if (from == to) continue;
        all[static_cast<size_t>(from)]->Send(
            to, {.frame_class = FrameClass::kProgress, .head = encoder.Progress(1, changes)});
      }
    }
    std::vector<Recorder> recorders(3);
    PollUntil(all, recorders, [&] {
      return std::ranges::all_of(recorders, [](const Recorder& r) { return r.frames.size() == 2; });
    });
    for (const Recorder& recorder : recorders) {
      CHECK(recorder.losses.empty());
      for (const Recorder::Frame& frame : recorder.frames) CHECK(frame.kind == kProgress);
    }
  }
}

TEST_CASE("processes connect over given sockets") {
  for (const bool tcp : {false, true}) {
    std::vector<MeshOr> meshes = ConnectPairs(TestOptions(3), tcp);
    for (const MeshOr& mesh : meshes) REQUIRE_MESSAGE(mesh.ok(), mesh.status().ToString());
    meshes[1]->reset();
    std::vector<TcpMesh*> rest = {meshes[0]->get(), meshes[2]->get()};
    std::vector<Recorder> recorders(2);
    PollUntil(rest, recorders,
              [&] { return recorders[0].losses.size() == 1 && recorders[1].losses.size() == 1; });
    for (const Recorder& recorder : recorders) {
      CHECK(recorder.losses[0].first == 1);
      CHECK(recorder.losses[0].second.ToString() == "UNAVAILABLE: process 1: connection lost");
    }
  }
}

}  // namespace
}  // namespace headway::internal
