#ifndef HEADWAY_COMM_MESH_MESH_CONNECT_H_
#define HEADWAY_COMM_MESH_MESH_CONNECT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/mesh/address_book.h"
#include "comm/mesh/candidate.h"
#include "comm/mesh/dialer.h"
#include "comm/mesh/link.h"
#include "comm/mesh/listener.h"
#include "comm/mesh/refusals.h"
#include "comm/system/event_loop.h"
#include "comm/system/file_descriptor.h"
#include "comm/wire/mesh_options.h"

namespace headway::internal {

// Connects a process with every other one of its cluster, in any order of their starts. It listens
// for the processes with greater ids and dials those with smaller ids, until all have shaken hands
// or the time is over. The last process listens too, for processes with its id: a process that
// finds its own address in use dials it, to learn if another process has its id. Strangers are
// dropped, and have no other effect than the reasons that Refusals keeps. A process of the cluster
// that differs ends the attempt, for all processes that can be reached.
//
// The names of a cluster may be published after its processes have started. So a process whose own
// name is unknown, or still leads to another machine, tries again until the time is over.
//
// Thread safety: that of its loop. For one use.
class MeshConnector {
 public:
  // The referents of the arguments outlive this; loop, slabs and written also outlive the links.
  // `addresses` may be absent if sockets are given.
  MeshConnector(const MeshOptions& options, std::span<const std::string> addresses, EventLoop& loop,
                SlabPool* slabs, BlockList* written);

  // A link for each process, null for this one. TcpMesh documents the errors.
  using Links = std::vector<std::unique_ptr<Link>>;
  absl::StatusOr<Links> OverAddresses();
  // Over connected sockets, one for each process; that of this one is not used.
  absl::StatusOr<Links> OverSockets(std::vector<FileDescriptor> sockets);
  // The listener of a successful OverAddresses; null for a process alone.
  std::unique_ptr<Listener> TakeListener() { return std::move(listener_); }

 private:
  absl::Status CheckOptions() const;
  absl::Status CheckStop() const;
  AddressBook::Addresses FindOwn();
  absl::Status StartListening();
  absl::Status TryToListen();
  absl::Status AskForTwin(absl::Status cannot_listen);
  absl::StatusOr<Links> Run();
  absl::Status DialMissing();
  absl::Status AcceptNew();
  bool DropOldestStranger();
  absl::Status AdvanceCandidates();
  absl::Status TakeDone(Candidate& candidate);
  void TakeDropped(const Candidate& candidate);
  absl::Status CheckLinks();
  absl::Status CheckLink(int process);
  absl::Status LostLink(int process);
  bool IsMissing(int process) const;
  bool Complete() const;
  void WaitForEvents(int64_t until_ms);
  absl::Status TimedOut() const;
  absl::Status WhyMissing(int process) const;
  absl::Status Fail(absl::Status status);
  void AddCandidate(Candidate::Origin origin, std::optional<int> expected, FileDescriptor socket,
                    int64_t deadline_ms);
  void DialFailed(int process, const absl::Status& status);
  void Log(std::string_view message) const;

  const MeshOptions& options_;
  EventLoop& loop_;
  SlabPool* const slabs_;
  BlockList* const written_;
  const int64_t deadline_ms_;
  AddressBook book_;
  std::vector<Dialer> dialers_;         // of the processes with smaller ids
  std::unique_ptr<Listener> listener_;  // null if the sockets are given
  std::vector<std::unique_ptr<Candidate>> candidates_;
  Links links_;
  Refusals refusals_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_MESH_CONNECT_H_
