#ifndef HEADWAY_COMM_DOORKEEPER_H_
#define HEADWAY_COMM_DOORKEEPER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "headway/comm/address_book.h"
#include "headway/comm/candidate.h"
#include "headway/comm/event_loop.h"
#include "headway/comm/link.h"
#include "headway/comm/listener.h"
#include "headway/comm/mesh_options.h"

namespace headway::internal {

// Answers those who connect to a process when its cluster is complete. A second process with the id
// of one that is there shakes hands as always, and is told so instead of waiting for the others in
// vain. Nobody is let in: nothing that comes behind a handshake is looked at, and no more than a
// few are answered at a time.
//
// Thread safety: that of its loop.
class Doorkeeper {
 public:
  // What the arguments refer to outlives this.
  Doorkeeper(const MeshOptions& options, std::span<const std::string> addresses, EventLoop& loop,
             SlabPool* slabs, BlockList* written, std::unique_ptr<Listener> listener);

  // Goes on as far as possible. `is_there(process)` says whether that process is connected: who
  // comes in the place of one that was lost is not told anything, so that it comes again.
  void Serve(absl::FunctionRef<bool(int process)> is_there);

 private:
  struct Farewell {
    std::unique_ptr<Link> link;
    int64_t until_ms;
  };
  void AcceptNew();
  void Refuse(Candidate& candidate, const absl::Status& why);

  const MeshOptions& options_;
  const AddressBook book_;
  EventLoop& loop_;
  SlabPool* const slabs_;
  BlockList* const written_;
  std::unique_ptr<Listener> listener_;  // null: no descriptors were left
  std::vector<std::unique_ptr<Candidate>> candidates_;
  std::vector<Farewell> farewells_;  // that their peers have not read yet
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_DOORKEEPER_H_
