#ifndef HEADWAY_COMM_MESH_TCP_MESH_H_
#define HEADWAY_COMM_MESH_TCP_MESH_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/memory/block.h"
#include "comm/memory/slab.h"
#include "comm/wire/mesh_options.h"
#include "comm/wire/transport.h"

namespace headway::internal {

class Doorkeeper;
class EventLoop;
class Link;

// The transport of a process of a cluster: one stream connection to each other process, on one
// libuv loop that has no thread of its own.
//
// A link is lost if it ends before both Goodbyes, if the peer is silent for peer_timeout before
// both Goodbyes (both Unavailable), or if the peer sends a malformed frame (InvalidArgument). The
// peer is told the reason, if it still reads. The end of the run, such as the answer to an Abort,
// is the caller's part.
//
// The mesh keeps listening at its address, for processes with the id of a connected one: they are
// told so, and end (Doorkeeper).
class TcpMesh final : public Transport {
 public:
  // Listens at addresses[process_id] and connects to the other processes, which may start later, in
  // any order. Returns after the handshakes with all processes. An address is "host:port" or
  // "[ipv6]:port".
  //
  // Errors name the process:
  // - InvalidArgument: wrong options, or a non-loopback address with neither a secret nor
  // `insecure`.
  // - Unavailable: the own address is in use, or a process is missing after connect_timeout.
  // - FailedPrecondition: a process differs in version, cluster, generation or counts, or has the
  // id of another one.
  // - PermissionDenied: a process has another secret, or only one of both has one.
  // - Cancelled: it was stopped meanwhile.
  // - Another process may report its own failure.
  // stopped meanwhile; the failure of another process, as it tells it.
  static absl::StatusOr<std::unique_ptr<TcpMesh>> Connect(const MeshOptions& options,
                                                          std::span<const std::string> addresses);

  // The same over connected stream sockets, sockets[p] to process p (this process's own is not
  // used). Takes the sockets, also on failure. Unavailable: a connection ends. InvalidArgument: a
  // peer is not a Headway process.
  static absl::StatusOr<std::unique_ptr<TcpMesh>> FromSockets(const MeshOptions& options,
                                                              std::span<const int> sockets);

  // Drops the connections without waiting; see Close.
  ~TcpMesh() override;

  int process_id() const override { return options_.process_id; }
  int process_count() const override { return options_.process_count; }
  std::string Describe(int process) const override;
  void Send(int process, const OutgoingFrame& frame) override;
  bool Flush() override;
  size_t QueuedBytes(int process, FrameClass frame_class) const override;
  BlockList TakeWritten() override { return std::move(written_); }
  bool Poll(Handler& handler) override;
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override;
  void Wake() override;
  int descriptor() const override;
  void Close(absl::Duration timeout) override;

 private:
  struct Peer;

  TcpMesh(const MeshOptions& options, std::span<const std::string> addresses,
          std::unique_ptr<EventLoop> loop);
  void Adopt(std::vector<std::unique_ptr<Link>> links);
  Peer& PeerOf(int process) const { return *peers_[static_cast<size_t>(process)]; }

  bool IsConnected(int process) const;
  bool AsksLinks() const;
  bool Read(Peer& peer, Handler& handler);
  bool HandleFrames(Peer& peer, Handler& handler, bool* any);
  void EndOfInput(Peer& peer);
  void Lose(Peer& peer, const absl::Status& cause, bool tell_peer);
  void CheckTimes();

  const MeshOptions options_;
  const std::vector<std::string> addresses_;  // empty if sockets were given
  const std::unique_ptr<EventLoop> loop_;
  SlabPool* const slabs_;
  BlockList written_;
  std::vector<std::unique_ptr<Peer>> peers_;  // by process; without a link for this one
  std::unique_ptr<Doorkeeper> doorkeeper_;    // null if sockets were given
  int64_t last_check_ms_ = 0;                 // of the timeouts
  int64_t check_interval_ms_ = 0;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_TCP_MESH_H_
