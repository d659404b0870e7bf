#ifndef HEADWAY_ENGINE_RUNTIME_STALL_BOARD_H_
#define HEADWAY_ENGINE_RUNTIME_STALL_BOARD_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "comm/local/fabric.h"

namespace headway::internal {

// The reasons why idle workers of a process wait, and the proof that none of them will wake.
//
// A worker posts before it sleeps, and withdraws when it is awake again. It posts as *stuck* if
// only a message of another worker can give it work: it has no timer, nothing to send, no source to
// poll, and no other thread can activate one of its steps. If all workers are stuck, and all but
// the one that posts are parked, nobody is left to send a message: a worker posts after its last
// message has gone out, and a message that arrives unparks its receiver.
//
// Thread safe.
class StallBoard {
 public:
  struct Post {
    std::string sentence = {};  // why the worker's dataflows stand still; empty: they do not
    bool is_here = false;       // this worker holds them back
    bool is_stuck = false;
  };

  // For the first `workers` endpoints of the fabric, which outlives the board.
  StallBoard(Fabric& fabric, int workers);

  // `worker` is about to sleep. Returns the best sentence if no worker can wake any more, and one
  // of them has a dataflow that is not complete.
  std::optional<std::string> Put(int worker, const Post& post);
  // `worker` is awake again. Its sentence stays until the next post.
  void Withdraw(int worker);
  // The worker called `worker` in messages has cancelled a dataflow.
  void NoteCancel(uint32_t dataflow, const std::string& worker);
  // The first worker that has cancelled the dataflow; empty if none has.
  std::string CancelledBy(uint32_t dataflow) const;

  // Returns the best sentence of the workers, or an empty text if no worker has posted one.
  std::string Sentence() const;

 private:
  bool AllStuck(int posting) const;
  std::string SentenceLocked() const;

  Fabric& fabric_;
  mutable std::mutex mutex_;
  std::vector<Post> posts_;                       // by worker; guarded by mutex_
  std::map<uint32_t, std::string> cancelled_by_;  // by dataflow; guarded by mutex_
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_RUNTIME_STALL_BOARD_H_
