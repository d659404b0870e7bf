#include "tests/comm/mesh/mesh_helpers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/str_format.h"
#include "check.h"
#include "comm/system/address.h"
#include "comm/wire/handshake.h"
#include "comm/wire/wire_generated.h"

namespace headway::internal {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

FileDescriptor BoundSocket(uint16_t* port) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  HEADWAY_CHECK(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  HEADWAY_CHECK(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  *port = ntohs(address.sin_port);
  return socket;
}

std::vector<MeshOr> InThreads(const MeshOptions& options,
                              const std::function<void(MeshOptions&)>& change,
                              const std::function<MeshOr(const MeshOptions&)>& connect) {
  std::vector<std::optional<MeshOr>> results(static_cast<size_t>(options.process_count));
  std::vector<std::thread> threads;
  for (int process = 0; process < options.process_count; ++process) {
    threads.emplace_back([&, process] {
      MeshOptions own = options;
      own.process_id = process;
      if (change) change(own);
      results[static_cast<size_t>(process)] = connect(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<MeshOr> meshes;
  for (auto& result : results) meshes.push_back(*std::move(result));
  return meshes;
}

}  // namespace

ReservedPorts::ReservedPorts(int count) {
  for (int i = 0; i < count; ++i) {
    uint16_t port;
    sockets_.push_back(BoundSocket(&port));
    addresses_.push_back(absl::StrFormat("127.0.0.1:%d", port));
  }
}

std::pair<int, int> SocketPair(bool tcp) {
  int pair[2];
  if (!tcp) {
    HEADWAY_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    return {pair[0], pair[1]};
  }
  uint16_t port;
  FileDescriptor listener = BoundSocket(&port);
  HEADWAY_CHECK(listen(listener.get(), 1) == 0);
  pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  HEADWAY_CHECK(connect(pair[0], reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
                0);
  pair[1] = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  HEADWAY_CHECK(pair[1] >= 0);
  return {pair[0], pair[1]};
}

FileDescriptor ConnectTo(const std::string& address) {
  const sockaddr_in where = Loopback(ParseAddress(address)->port);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0) {
      return socket;
    }
    HEADWAY_CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

FileDescriptor ListenAt(const std::string& address) {
  FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in where = Loopback(ParseAddress(address)->port);
  HEADWAY_CHECK(bind(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0);
  HEADWAY_CHECK(listen(socket.get(), 100) == 0);
  return socket;
}

void Write(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;  // the other end has seen enough
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void Write(int fd, std::string_view text) { Write(fd, std::as_bytes(std::span(text))); }

void Drain(int fd) {
  char scrap[4096];
  while (read(fd, scrap, sizeof(scrap)) > 0) {
  }
}

std::vector<std::byte> ReadFrame(int fd) {
  std::vector<std::byte> frame(kFrameAlignment);
  size_t have = 0;
  while (have < frame.size()) {
    const ssize_t count = read(fd, frame.data() + have, frame.size() - have);
    if (count <= 0) return {};
    have += static_cast<size_t>(count);
    if (have == kFrameAlignment) frame.resize(*FrameSize(frame.data(), size_t{1} << 20));
  }
  return frame;
}

HelloFields HelloOf(const MeshOptions& options, int process) {
  return {.generation = options.generation,
          .process = static_cast<uint32_t>(process),
          .process_count = static_cast<uint32_t>(options.process_count),
          .workers_per_process = static_cast<uint32_t>(options.workers_per_process),
          .cluster = options.cluster,
          .nonce = RandomNonce()};
}

MeshOptions TestOptions(int process_count) {
  return {.process_count = process_count,
          .workers_per_process = 1,
          .cluster = "test",
          .connect_timeout = absl::Seconds(30)};
}

std::vector<MeshOr> ConnectAll(const MeshOptions& options, std::span<const std::string> addresses,
                               const std::function<void(MeshOptions&)>& change) {
  return InThreads(options, change,
                   [&](const MeshOptions& own) { return TcpMesh::Connect(own, addresses); });
}

std::vector<MeshOr> ConnectPairs(const MeshOptions& options, bool tcp,
                                 const std::function<void(MeshOptions&)>& change) {
  const auto count = static_cast<size_t>(options.process_count);
  std::vector<std::vector<int>> sockets(count, std::vector<int>(count, -1));
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < i; ++j) std::tie(sockets[i][j], sockets[j][i]) = SocketPair(tcp);
  }
  return InThreads(options, change, [&](const MeshOptions& own) {
    return TcpMesh::FromSockets(own, sockets[static_cast<size_t>(own.process_id)]);
  });
}

void Recorder::OnFrame(int process, const IncomingFrame& frame) {
  frames.push_back({.process = process,
                    .kind = static_cast<int>(frame.frame->body_type()),
                    .bytes = {frame.bytes.begin(), frame.bytes.end()}});
}

void Recorder::OnLoss(int process, const absl::Status& cause) {
  losses.emplace_back(process, cause);
}

void PollUntil(std::span<TcpMesh* const> meshes, std::span<Recorder> recorders,
               const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) FAIL("nothing happens");
    for (size_t i = 0; i < meshes.size(); ++i) {
      meshes[i]->Flush();
      meshes[i]->Poll(recorders[i]);
    }
  }
}

}  // namespace headway::internal
