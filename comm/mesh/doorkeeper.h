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
#include "comm/mesh/refusals.h"
#include "comm/system/event_loop.h"
#include "comm/wire/mesh_options.h"

namespace headway::internal {

// Answers processes that connect to a complete cluster. A second process with the id of a connected
// one learns so, instead of waiting in vain. Nobody is admitted. In a cluster with a secret, only a
// peer that has proved itself gets a Proof, and with it the reason why it is refused. A few are
// answered at a time.
//
// Thread safety: that of its loop.
class Doorkeeper {
 public:
  // The referents of the arguments outlive the doorkeeper.
  Doorkeeper(const MeshOptions& options, std::span<const std::string> addresses, EventLoop& loop,
             SlabPool* slabs, BlockList* written, std::unique_ptr<Listener> listener);

  // Proceeds as far as possible. `is_there(process)` returns true if that process is connected. A
  // process in the place of a lost one gets no answer, so that it retries.
  void Serve(absl::FunctionRef<bool(int process)> is_there);
  // Returns true while an answer is under way.
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
  Refusals refusals_;
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_MESH_DOORKEEPER_H_
