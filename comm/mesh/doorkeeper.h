#ifndef HEADWAY_COMM_MESH_DOORKEEPER_H_
#define HEADWAY_COMM_MESH_DOORKEEPER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/mesh/address_book.h"
#include "comm/mesh/candidate.h"
#include "comm/mesh/link.h"
#include "comm/mesh/listener.h"
#include "comm/system/event_loop.h"
#include "comm/wire/mesh_options.h"

namespace headway::internal {

// Answers those who connect to a process when its cluster is complete. A second process with the id
// of one that is there says so in its Hello, and is told, instead of waiting for the others in
// vain. Nobody is let in: there is no Proof, nothing that comes behind a Hello is looked at, and no
// more than a few are answered at a time.
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
  // Whether somebody is being answered.
  bool busy() const { return !candidates_.empty() || !farewells_.empty(); }

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

#endif  // HEADWAY_COMM_MESH_DOORKEEPER_H_
