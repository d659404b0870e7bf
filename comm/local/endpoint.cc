#include "comm/local/endpoint.h"

#include "comm/local/fabric.h"

namespace headway::internal {

Endpoint::Endpoint(Fabric* fabric, int worker_index)
    : fabric_(fabric),
      worker_index_(worker_index),
      parker_(&fabric->parker(worker_index)),
      activations_(&fabric->activations(worker_index)) {
  const int workers = fabric->worker_count();
  peers_.reserve(static_cast<size_t>(workers - 1));
  for (int worker = 0; worker < workers; ++worker) {
    if (worker == worker_index) continue;
    Peer& peer = peers_.emplace_back();
    peer.worker = worker;
    peer.outbox = &fabric->mailbox(worker_index, worker);
    peer.inbox = &fabric->mailbox(worker, worker_index);
    peer.progress = &fabric->progress_reader(worker, worker_index);
    peer.parker = &fabric->parker(worker);
    peer.closed = &fabric->closed(worker);
  }
}

Endpoint::~Endpoint() {
  Close();
  Flush();
  for (Peer& peer : peers_) {
    for (size_t i = peer.spill_begin; i < peer.spill.size(); ++i) {
      BlockPool::FreeChain(peer.spill[i].block());
    }
  }
}

void Endpoint::Close() {
  if (closed_) return;
  closed_ = true;
  for (Peer& peer : peers_) peer.progress->Close();
  fabric_->closed(worker_index_).store(true, std::memory_order_release);
}

bool Endpoint::FlushSlowly() {
  if (spilling_peers_ > 0) {
    for (Peer& peer : peers_) {
      if (!peer.spill.empty()) SendSpill(&peer);
    }
  }
  if (any_needs_wake_) {
    any_needs_wake_ = false;
    Parker::Fence();
    for (Peer& peer : peers_) {
      if (!peer.needs_wake) continue;
      peer.needs_wake = false;
      peer.parker->WakeIfParked();
    }
  }
  return spilling_peers_ == 0;
}

bool Endpoint::TrySendSmall(Peer* peer, const Message& message, size_t time_bytes,
                            size_t record_bytes) {
  Block& block = *message.block();
  if (!peer->spill.empty() || !IsDefault(block)) return false;
  const Message small = Message::Small(message.dataflow(), message.channel(),
                                       {.record_count = block.record_count,
                                        .charged_bytes = block.charged_bytes,
                                        .sender = block.sender,
                                        .time_bytes = static_cast<uint16_t>(time_bytes),
                                        .record_bytes = static_cast<uint16_t>(record_bytes)});
  if (!peer->outbox->TrySendSmall(small, block.time, block.payload())) return false;
  MarkForWake(peer);
  Recycle(&block);
  return true;
}

Block* Endpoint::UnpackSmall(const SmallBatchHeader& header, const SmallBatch& small) {
  if (pool_.free_count() == 0) ++allocated_for_small_;
  Block* block = pool_.Get();
  block->sender = header.sender;
  block->record_count = header.record_count;
  block->charged_bytes = header.charged_bytes;
  small.Take(header, block->time, block->payload());
  return block;
}

void Endpoint::SendSpill(Peer* peer) {
  const bool closed = peer->closed->load(std::memory_order_acquire);
  size_t& next = peer->spill_begin;
  while (next < peer->spill.size()) {
    if (closed) {
      BlockPool::FreeChain(peer->spill[next].block());
    } else if (peer->outbox->TrySend(peer->spill[next])) {
      MarkForWake(peer);
    } else {
      break;
    }
    ++next;
  }
  if (next == peer->spill.size()) {
    --spilling_peers_;
    peer->spill.clear();
    next = 0;
  } else if (next > peer->spill.size() / 2) {
    // Each message is moved at most once per message sent: the queue stays short, and a Flush costs
    // nothing.
    peer->spill.erase(peer->spill.begin(), peer->spill.begin() + static_cast<std::ptrdiff_t>(next));
    next = 0;
  }
}

// Frees the blocks of a backlog of small batches first. Otherwise it checks one account per call,
// so that the cost does not grow with the number of peers, and stays with a peer until its account
// is settled. It does not wake the peer: returned blocks are not urgent, and never take the place
// of a message that found no room.
void Endpoint::ReturnBlocks() {
  if (allocated_for_small_ > kKeptForSmall) {
    --allocated_for_small_;
    BlockPool::FreeBlock(pool_.Get());
    return;
  }
  if (return_cursor_ >= peers_.size()) return_cursor_ = 0;
  Peer& peer = peers_[return_cursor_];
  if (peer.balance < static_cast<int64_t>(kReturnThreshold) || !peer.spill.empty()) {
    ++return_cursor_;
    return;
  }
  Block* chain = nullptr;
  for (int i = 0; i < kReturnCount; ++i) {
    Block* block = pool_.Get();
    block->next = chain;
    chain = block;
  }
  if (peer.outbox->TrySend(Message::Blocks(chain))) {
    peer.balance -= kReturnCount;
    return;
  }
  TakeReturned(chain);
  ++return_cursor_;
}

void Endpoint::TakeReturned(Block* chain) {
  while (chain != nullptr) {
    Block* next = chain->next;
    pool_.Put(chain);
    chain = next;
  }
}

bool Endpoint::TryPublishProgress(uint32_t dataflow, std::span<const std::byte> bytes) {
  if (!fabric_->progress_log(worker_index_).TryPublish(dataflow, bytes)) return false;
  WakeAll();
  return true;
}

bool Endpoint::HasIncoming() const {
  for (const Peer& peer : peers_) {
    if (!peer.inbox->empty() || !peer.progress->empty()) return true;
  }
  return !activations_->empty();
}

void Endpoint::WakeAll() {
  for (Peer& peer : peers_) MarkForWake(&peer);
}

void Endpoint::ActivateFromAnyThread(uint64_t token) { fabric_->Activate(worker_index_, token); }

}  // namespace headway::internal
