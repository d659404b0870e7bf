#ifndef HEADWAY_TESTS_COMM_MESH_MESH_HELPERS_H_
#define HEADWAY_TESTS_COMM_MESH_MESH_HELPERS_H_

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/memory/block_pool.h"
#include "comm/mesh/tcp_mesh.h"
#include "comm/system/file_descriptor.h"
#include "comm/wire/wire.h"

namespace headway::internal {

// Ports that the system chose, held by bound sockets that do not listen: nobody else gets them, and
// a mesh can listen at them all the same.
class ReservedPorts {
 public:
  explicit ReservedPorts(int count);

  // "127.0.0.1:port" for each.
  const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  std::vector<FileDescriptor> sockets_;
  std::vector<std::string> addresses_;
};

// A connected pair of stream sockets: Unix domain, or TCP on loopback.
std::pair<int, int> SocketPair(bool tcp = false);

// A blocking TCP connection to "127.0.0.1:port", tried until somebody listens there.
FileDescriptor ConnectTo(const std::string& address);

// A socket that listens at "127.0.0.1:port", and whose owner accepts nobody.
FileDescriptor ListenAt(const std::string& address);

// For a test that speaks for a process itself, over a blocking socket: writes all, if the other end
// takes it; reads exactly one frame, nothing at the end; reads until the other end ends.
void Write(int fd, std::span<const std::byte> bytes);
void Write(int fd, std::string_view text);
std::vector<std::byte> ReadFrame(int fd);
void Drain(int fd);

// The Hello of a process.
HelloFields HelloOf(const MeshOptions& options, int process);

// Options that a test of `process_count` processes shares; short times.
MeshOptions TestOptions(int process_count);

using MeshOr = absl::StatusOr<std::unique_ptr<TcpMesh>>;

// Connects all processes of a cluster, each in a thread, over addresses; `change` may alter the
// options of one process.
std::vector<MeshOr> ConnectAll(const MeshOptions& options, std::span<const std::string> addresses,
                               const std::function<void(MeshOptions&)>& change = nullptr);
// The same over socket pairs.
std::vector<MeshOr> ConnectPairs(const MeshOptions& options, bool tcp = false,
                                 const std::function<void(MeshOptions&)>& change = nullptr);

// Records frames and losses.
class Recorder : public Transport::Handler {
 public:
  struct Frame {
    int process;
    int kind;  // wire::Body
    std::vector<std::byte> bytes;
  };

  void OnFrame(int process, const IncomingFrame& frame) override;
  void OnLoss(int process, const absl::Status& cause) override;

  std::vector<Frame> frames;
  std::vector<std::pair<int, absl::Status>> losses;
};

// Polls (and flushes) until `done`, or the test has failed for lack of time.
void PollUntil(std::span<TcpMesh* const> meshes, std::span<Recorder> recorders,
               const std::function<bool()>& done);

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_COMM_MESH_MESH_HELPERS_H_
