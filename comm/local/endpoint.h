#ifndef HEADWAY_COMM_LOCAL_ENDPOINT_H_
#define HEADWAY_COMM_LOCAL_ENDPOINT_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "comm/local/activation_inbox.h"
#include "comm/local/broadcast_log.h"
#include "comm/local/mailbox.h"
#include "comm/local/parker.h"
#include "comm/memory/block_pool.h"

namespace headway::internal {

class Fabric;

// One worker's end of a Fabric: its mailboxes to and from the other workers of its process, its
// blocks, and its parker.
//
// Sending writes shared memory at once, but a sleeping peer learns of it at the next Flush, which
// pays one fence for all peers.
//
// A block belongs to the endpoint from Send on, and to the receiver from its callback on. Consumed
// blocks come back through Recycle. It keeps an account with each peer, and returns blocks to peers
// that send more than they receive. So traffic in one direction allocates nothing in steady state,
// and equal traffic returns nothing.
//
// Thread safety: used by its worker's thread only, except ActivateFromAnyThread. The fabric
// outlives its endpoints.
class Endpoint {
 public:
  // The most messages, or progress batches, that one call takes from one peer.
  static constexpr int kReceiveBudget = 256;

  // REQUIRES: worker_index is in [0, fabric->worker_count()), and no other endpoint of that worker
  // exists or existed.
  Endpoint(Fabric* fabric, int worker_index);
  // Closes the endpoint, and frees the messages that wait in it.
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  int worker_index() const { return worker_index_; }
  int worker_count() const { return static_cast<int>(peers_.size()) + 1; }
  BlockPool& pool() { return pool_; }

  // Sends a message to another worker, in order. Takes the chain of blocks of the message. Never
  // fails: while the ring is full, messages wait here for the next Flush (flow control bounds their
  // number). REQUIRES: 0 <= to < worker_count() and to != worker_index().
  void Send(int to, const Message& message);

  // The same for a kBatch in one block, with a time of `time_bytes` and `record_bytes` bytes of
  // records that may be copied as bytes. A small batch travels in the mailbox slot, and its block
  // is free at once: the block's memory stays in this worker's cache. The receiver gets an equal
  // kBatch in a block of its own.
  void SendPlainBatch(int to, const Message& message, size_t time_bytes, size_t record_bytes);

  // Sends the messages that wait for room, then wakes the peers that were sent something since the
  // last Flush. Returns true if no message waits; otherwise call it again soon.
  bool Flush() { return (spilling_peers_ == 0 && !any_needs_wake_) || FlushSlowly(); }

  // Calls f(const Message&, int from) for each message that has arrived, in order per peer, at most
  // kReceiveBudget for each peer. `f` becomes the owner of the message's chain of blocks. It may
  // send, recycle and flush, but not receive. Returns true if there was any.
  template <class F>
  bool Receive(F&& f);

  // Takes back one consumed block, from any pool. Its `next` is ignored.
  void Recycle(Block* block) {
    pool_.Put(block);
    if (pool_.free_count() >= kReturnThreshold && !peers_.empty()) ReturnBlocks();
  }

  // Shares a progress batch with all other workers. Returns false, and shares nothing, while the
  // slowest of them is a whole lap behind: sum the changes with those of the next round. Every peer
  // wakes at the next Flush.
  bool TryPublishProgress(uint32_t dataflow, std::span<const std::byte> bytes);

  // Calls f(int from, uint32_t dataflow, std::span<const std::byte> bytes) for each progress batch
  // that has arrived, in order per peer, at most kReceiveBudget for each peer. The bytes are
  // aligned to 8 and valid during the call. Returns true if there was any.
  template <class F>
  bool ReceiveProgress(F&& f);

  // Returns true if there is a message, progress, or an activation to receive.
  bool HasIncoming() const;

  // Wakes every other worker at the next Flush.
  void WakeAll();

  // Flushes, then sleeps until there is something to receive or a peer wakes this worker, at most
  // for `timeout` (none: without limit). Spurious returns are possible. While messages wait for
  // room it sleeps for 100 microseconds at most, since receivers do not announce room.
  void Park(std::optional<std::chrono::nanoseconds> timeout) {
    Park(timeout, [] { return false; });
  }

  // The same, unless has_work() is true. It is called once, after this worker has announced that it
  // sleeps. So a change that another worker makes later, and follows by a wake-up (WakeAll, Flush),
  // ends the sleep.
  template <class HasWork>
  void Park(std::optional<std::chrono::nanoseconds> timeout, HasWork&& has_work) {
    if (!Flush()) timeout = std::min(timeout.value_or(kSpillRetry), kSpillRetry);
    parker_->Park(timeout, [&] { return HasIncoming() || has_work(); });
  }

  // The same for a worker that sleeps in wait(timeout). A wake-up calls the waker of its parker.
  template <class HasWork, class WaitElsewhere>
  void ParkElsewhere(std::optional<std::chrono::nanoseconds> timeout, HasWork&& has_work,
                     WaitElsewhere&& wait) {
    if (!Flush()) timeout = std::min(timeout.value_or(kSpillRetry), kSpillRetry);
    parker_->ParkElsewhere([&] { return HasIncoming() || has_work(); }, [&] { wait(timeout); });
  }

  // The same for a worker that leaves its thread to a host (Parker::ParkOutside). Returns the
  // longest time until it has to be called again, which is `timeout` or less; zero if there is
  // work. From now on a wake-up makes the event of the parker readable.
  template <class HasWork>
  std::optional<std::chrono::nanoseconds> ParkOutside(
      std::optional<std::chrono::nanoseconds> timeout, HasWork&& has_work) {
    if (!Flush()) timeout = std::min(timeout.value_or(kSpillRetry), kSpillRetry);
    parker_->ParkOutside();
    if (HasIncoming() || has_work()) timeout = std::chrono::nanoseconds::zero();
    return timeout;
  }
  Parker& parker() { return *parker_; }

  // Makes this worker run TakeActivations soon, and wakes it. A token that already waits is not
  // added again. Thread-safe; a thread that may outlive the endpoint uses Fabric::Activate.
  void ActivateFromAnyThread(uint64_t token);

  // Replaces the content of `tokens` by the waiting activations, oldest first. Returns true if
  // there are any.
  bool TakeActivations(std::vector<uint64_t>* tokens) { return activations_->Take(tokens); }

  // Announces that this worker receives nothing any more: the others neither wait for it nor keep
  // messages for it. It may still send and flush.
  void Close();

 private:
  // The balance above which an account is settled, and the blocks that one message returns.
  static constexpr size_t kReturnThreshold = 16;
  static constexpr int kReturnCount = 8;
  // Above this many blocks allocated for small batches, a free one goes to the heap.
  static constexpr int kKeptForSmall = kReceiveBudget;
  static constexpr std::chrono::nanoseconds kSpillRetry = std::chrono::microseconds(100);

  // One other worker, as this one sees it.
  struct Peer {
    int worker = 0;
    bool needs_wake = false;
    Mailbox* outbox = nullptr;
    Mailbox* inbox = nullptr;
    BroadcastLog::Reader* progress = nullptr;
    Parker* parker = nullptr;
    const std::atomic<bool>* closed = nullptr;
    int64_t balance = 0;         // default blocks received minus sent
    std::vector<Message> spill;  // messages without room, from spill_begin on
    size_t spill_begin = 0;
  };

  Peer& PeerOf(int worker) {
    HEADWAY_DCHECK(worker >= 0 && worker < worker_count() && worker != worker_index_);
    return peers_[static_cast<size_t>(worker > worker_index_ ? worker - 1 : worker)];
  }

  void MarkForWake(Peer* peer) {
    peer->needs_wake = true;
    any_needs_wake_ = true;
  }

  bool FlushSlowly();
  static int64_t CountDefaultBlocks(const Block* chain);
  bool TrySendSmall(Peer* peer, const Message& message, size_t time_bytes, size_t record_bytes);
  Block* UnpackSmall(const SmallBatchHeader& header, const SmallBatch& small);
  void SendSpill(Peer* peer);
  void ReturnBlocks();
  void TakeReturned(Block* chain);

  Fabric* const fabric_;
  const int worker_index_;
  Parker* const parker_;
  ActivationInbox* const activations_;
  BlockPool pool_;
  std::vector<Peer> peers_;
  bool any_needs_wake_ = false;
  bool closed_ = false;
  int spilling_peers_ = 0;
  int allocated_for_small_ = 0;  // blocks that no peer is owed
  size_t return_cursor_ = 0;     // the peer whose account is checked next
};

// Only default blocks count: consumers free the others.
inline int64_t Endpoint::CountDefaultBlocks(const Block* chain) {
  int64_t count = 0;
  for (; chain != nullptr; chain = chain->next) count += IsDefault(*chain);
  return count;
}

inline void Endpoint::Send(int to, const Message& message) {
  Peer& peer = PeerOf(to);
  if (message.block() != nullptr) peer.balance -= CountDefaultBlocks(message.block());
  MarkForWake(&peer);
  const bool spills = !peer.spill.empty();
  if (!spills && peer.outbox->TrySend(message)) return;
  peer.spill.push_back(message);
  if (!spills) ++spilling_peers_;
}

inline void Endpoint::SendPlainBatch(int to, const Message& message, size_t time_bytes,
                                     size_t record_bytes) {
  HEADWAY_DCHECK(message.kind() == MessageKind::kBatch && message.block()->next == nullptr);
  if (!SmallBatch::Fits(time_bytes, record_bytes) ||
      !TrySendSmall(&PeerOf(to), message, time_bytes, record_bytes)) {
    Send(to, message);
  }
}

template <class F>
bool Endpoint::Receive(F&& f) {
  bool any = false;
  for (Peer& peer : peers_) {
    Message message;
    Block* unpacked = nullptr;
    const auto unpack = [&](const SmallBatch& small) {
      unpacked = UnpackSmall(message.small(), small);
    };
    for (int i = 0; i < kReceiveBudget && peer.inbox->TryReceive(&message, unpack); ++i) {
      switch (message.kind()) {
        case MessageKind::kSmallBatch:  // the block is of this pool: no peer is owed it
          message = Message::Batch(message.dataflow(), message.channel(), unpacked);
          break;
        case MessageKind::kReturnedBlocks:
          peer.balance += CountDefaultBlocks(message.block());
          TakeReturned(message.block());
          continue;
        case MessageKind::kBatch:
        case MessageKind::kOutgoingBatch:
        case MessageKind::kIncomingBatch:
          peer.balance += CountDefaultBlocks(message.block());
          break;
        case MessageKind::kReturnedBytes:
        case MessageKind::kCredit:
          break;
      }
      any = true;
      f(std::as_const(message), peer.worker);
    }
  }
  return any;
}

template <class F>
bool Endpoint::ReceiveProgress(F&& f) {
  bool any = false;
  for (Peer& peer : peers_) {
    uint32_t dataflow = 0;
    std::span<const std::byte> bytes;
    for (int i = 0; i < kReceiveBudget && peer.progress->TryRead(&dataflow, &bytes); ++i) {
      any = true;
      f(peer.worker, dataflow, bytes);
      peer.progress->Release();
    }
  }
  return any;
}

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_ENDPOINT_H_
