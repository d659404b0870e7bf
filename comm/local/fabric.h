#ifndef HEADWAY_COMM_LOCAL_FABRIC_H_
#define HEADWAY_COMM_LOCAL_FABRIC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/local/activation_inbox.h"
#include "comm/local/broadcast_log.h"
#include "comm/local/endpoint.h"
#include "comm/local/mailbox.h"
#include "comm/local/parker.h"

namespace headway::internal {

// All connections between the workers of one process: a mailbox for every ordered pair of them, and
// for each worker a progress log that all others read, an inbox for activations from other threads,
// and a parker.
//
// A worker uses them through its Endpoint. The fabric owns them, outlives all endpoints, and frees
// the blocks that were never received.
//
// Thread safety: any thread may call Activate, WakeAll and worker_count. The accessors are for
// endpoints; their results have the thread safety of their class.
class Fabric {
 public:
  // Sizes of the rings, each a power of two.
  struct Options {
    size_t mailbox_messages = Mailbox::kDefaultCapacity;
    size_t progress_frames = BroadcastLog::kDefaultFrames;
  };

  // REQUIRES: workers >= 1.
  explicit Fabric(int workers);
  Fabric(int workers, Options options);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  int worker_count() const { return static_cast<int>(workers_.size()); }

  // Makes a worker run TakeActivations soon, and wakes it. A token that already waits is not added
  // again. For threads that may outlive the worker's endpoint: without an endpoint the token waits.
  void Activate(int worker, uint64_t token);

  // Wakes every worker that is parked.
  void WakeAll();

  // REQUIRES: from != to.
  Mailbox& mailbox(int from, int to);
  // The log of the progress that `producer` publishes for all others.
  BroadcastLog& progress_log(int producer) { return worker(producer).progress; }
  // The position of `consumer` in the log of `producer`. REQUIRES: they differ.
  BroadcastLog::Reader& progress_reader(int producer, int consumer);
  Parker& parker(int index) { return worker(index).parker; }
  ActivationInbox& activations(int index) { return worker(index).activations; }
  // True once the worker has ceased to receive.
  std::atomic<bool>& closed(int index) { return worker(index).closed; }

 private:
  struct alignas(64) WorkerState {
    WorkerState(int peers, size_t progress_frames) : progress(peers, progress_frames) {}

    BroadcastLog progress;
    Parker parker;
    ActivationInbox activations;
    std::atomic<bool> closed{false};
  };

  WorkerState& worker(int index) { return *workers_[static_cast<size_t>(index)]; }

  std::vector<std::unique_ptr<WorkerState>> workers_;
  std::vector<std::unique_ptr<Mailbox>> mailboxes_;  // [from * workers + to], null on the diagonal
};

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_FABRIC_H_
