#ifndef HEADWAY_ENGINE_GRAPH_CHANNEL_H_
#define HEADWAY_ENGINE_GRAPH_CHANNEL_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "comm/codec/codec.h"
#include "engine/batch/batch.h"
#include "engine/batch/remote_batch.h"
#include "engine/graph/channel_account.h"
#include "engine/graph/graph.h"
#include "engine/graph/tee.h"

// Channels carry batches from an output port, with its transforms, to an input of a node, on this
// worker or on others. The parallelization contract (pact) of the input selects the worker of each
// record.

namespace headway {

namespace pact {

// Records stay on their worker.
struct Pipeline {};

// Records with equal keys go to the same worker: the one that StableHash(key(record)) selects.
template <class KeyFn>
struct Exchange {
  KeyFn key;
};
template <class KeyFn>
Exchange(KeyFn) -> Exchange<KeyFn>;

// Every record goes to every worker.
struct Broadcast {};

// All records go to worker 0.
struct Gather {};

// Whole batches go to the workers in turn, so that each gets about as many records.
struct RoundRobin {};

}  // namespace pact

namespace internal {

template <class Pact>
inline constexpr bool kIsPact = false;
template <>
inline constexpr bool kIsPact<pact::Pipeline> = true;
template <class KeyFn>
inline constexpr bool kIsPact<pact::Exchange<KeyFn>> = true;
template <>
inline constexpr bool kIsPact<pact::Broadcast> = true;
template <>
inline constexpr bool kIsPact<pact::Gather> = true;
template <>
inline constexpr bool kIsPact<pact::RoundRobin> = true;

// The part of a channel that does not depend on the record type: its account, and delivery to
// workers of this and of other processes. Belongs to the worker's thread.
class ChannelBase : public Flushable {
 public:
  ChannelBase(Graph& graph, InputPortBase& target);

  // Returns true if the channel buffers records; such a channel overrides Flush.
  virtual bool KeepsRecords() const { return false; }
  void Flush() override {}
  InputPortBase& target() { return target_; }
  // Gives the channel its number in the graph and its credits. Once, when it is added to the graph.
  void Register(uint32_t id, std::shared_ptr<ChannelCredits> credits);

  // Returns true if this worker may send another batch although the shared pool is full.
  bool HasExclusiveCredit() const { return account_->HasExclusiveCredit(); }
  void CountTaken(const Block& block);
  // Another process has taken `bytes` that this worker sent it.
  void AddCredit(int64_t bytes) { account_->AddReturned(bytes); }
  const ChannelCredits& credits() const { return account_->credits(); }

  // A node of a cycle sends on the channel.
  void SetTouchesCycle() { touches_cycle_ = true; }

  // Takes a batch of another process.
  virtual void AcceptRemote(Block* block);

  // Records come through this port. Ports are numbered in the order of the calls.
  void AddPort(const OutputPortBase& port);
  // The senders of the channel, for SenderWatermarks: its ports, on each worker that sends to this
  // one. The number of a port of `worker` is less than sender_count().
  size_t sender_count() const;
  size_t SenderOf(int worker, uint32_t port) const {
    return ReachesAllWorkers() ? static_cast<size_t>(worker) * ports_.size() + port : port;
  }

 protected:
  // The sizes of a time and of a record if batches consist of records that may be copied as bytes,
  // else zeros.
  struct PlainSizes {
    uint32_t time_bytes;
    uint32_t record_bytes;
  };

  // Delivers the block to the input on `worker`, of this process. The caller has counted it as a
  // pointstamp.
  void Deliver(int worker, Block* block, PlainSizes plain);
  void DeliverRemote(int worker, const PackedBatch& batch);
  // Whether watermarks go to all workers, or stay on this one.
  virtual bool ReachesAllWorkers() const = 0;
  // Returns a block with the watermark, without a time, or null if it says nothing new.
  Block* PackWatermark(const Watermark& watermark);
  // Returns true if a block of another process, without records, is a watermark of the channel.
  bool IsWatermark(const Block& block) const;
  // Returns true if batches should hold no more memory than their records need: the pool is full,
  // and a cycle makes batches of few records. Batches that stay in it count against its limit;
  // batches that leave it wait for the exclusive credit of their channel.
  bool WantsSmallBlocks() { return touches_cycle_ && !graph_.worker().PoolHasRoom(); }
  // Fails the run because of a malformed or misdirected batch of another process.
  void RefuseRemote(int sender, std::string_view why);

  Graph& graph_;
  InputPortBase& target_;

 private:
  struct Port {
    const OutputPortBase* port;
    Watermark sent;  // the last one
  };

  uint32_t id_ = 0;
  bool touches_cycle_ = false;
  std::vector<Port> ports_;
  std::optional<ChannelAccount> account_;  // set by Register
};

// The part that depends on the record and time type: counts batches as pointstamps, and delivers
// them to workers of this process. Channels derived from it decide which worker gets a batch.
template <class D, class T>
class Channel : public ChannelBase, public Receiver<D, T> {
 public:
  Channel(Graph& graph, InputPortBase& target, ScopeTracker<T>& tracker)
      : ChannelBase(graph, target), tracker_(tracker) {}

  void PushWatermark(const T& time, const Watermark& watermark) final {
    Block* first = PackWatermark(watermark);
    if (first == nullptr) return;
    Flush();
    WorkerContext& context = graph_.worker();
    const int begin = ReachesAllWorkers() ? 0 : context.index();
    const int end = ReachesAllWorkers() ? context.count() : begin + 1;
    for (int worker = begin; worker < end; ++worker) {
      Block* block = first;
      if (worker + 1 < end) {
        block = context.endpoint().pool().GetTight(kWatermarkBytes);
        std::memcpy(block->payload(), first->payload(), kWatermarkBytes);
        block->record_count = 0;
      }
      block->SetTime(time);
      tracker_.Record(target_.location, time, +1);
      if (context.run().topology().IsLocal(worker)) {
        Deliver(worker, block, PlainSizes{0, 0});
      } else {
        DeliverRemote(worker, {block, {.front_bytes = kWatermarkBytes, .back_bytes = 0}});
      }
    }
  }

 protected:
  static constexpr PlainSizes kPlain =
      std::is_same_v<Batch<D>, VectorBatch<D>> && std::is_trivially_copyable_v<D>
          ? PlainSizes{sizeof(T), sizeof(D)}
          : PlainSizes{0, 0};

  void Send(int worker, const T& time, Batch<D>&& batch) {
    Deliver(worker, Count(time, std::move(batch)), kPlain);
  }

  // Takes the batch's block, and counts it as a pointstamp.
  Block* Count(const T& time, Batch<D>&& batch) {
    if (WantsSmallBlocks()) [[unlikely]] {
      batch.Shrink(graph_.worker().endpoint());
    }
    Block* block = batch.Release();
    block->SetTime(time);
    tracker_.Record(target_.location, time, +1);
    return block;
  }

  ScopeTracker<T>& tracker_;
};

// A channel whose records stay on this worker.
template <class D, class T>
class PipelineChannel final : public Channel<D, T> {
 public:
  using Channel<D, T>::Channel;
  void Push(const T& time, Batch<D>&& batch) override {
    this->Send(this->graph_.worker().index(), time, std::move(batch));
  }

 private:
  bool ReachesAllWorkers() const override { return false; }
};

// The base of channels whose records may go to workers of other processes.
template <class D, class T>
class RoutedChannel : public Channel<D, T> {
 public:
  using Channel<D, T>::Channel;

  void AcceptRemote(Block* block) override {
    if (block->record_count == 0) {
      if (this->IsWatermark(*block)) return this->target_.Accept(block);
      const int from = block->sender;
      this->graph_.worker().endpoint().Recycle(block);
      return this->RefuseRemote(from, "a batch without records");
    }
    const T time = block->Time<T>();
    const uint16_t sender = block->sender;
    uint32_t charged_bytes = block->charged_bytes;
    Endpoint& endpoint = this->graph_.worker().endpoint();
    BlockList batches;
    const absl::Cleanup recycle = [&] {  // batches that were not accepted
      while (Block* batch = batches.PopFront()) endpoint.Recycle(batch);
    };
    bool good = false;
    try {
      this->graph_.errors().Guard(this->target_.node().step_id(),
                                  [&] { good = UnpackBatch<D>(endpoint, block, &batches); });
    } catch (const StepFailed&) {
      return;
    }
    if (!good) {
      this->RefuseRemote(sender, "a batch that is not of this step's record type");
      return;
    }
    // The sender has counted one batch only.
    const auto more = static_cast<int64_t>(batches.count()) - 1;
    if (more > 0) this->tracker_.Record(this->target_.location, time, more);
    while (Block* batch = batches.PopFront()) {
      batch->SetTime(time);
      batch->sender = sender;
      batch->charged_bytes = std::exchange(charged_bytes, 0);
      this->target_.Accept(batch);
    }
  }

 protected:
  void SendTo(int worker, const T& time, Batch<D>&& batch) {
    WorkerContext& context = this->graph_.worker();
    Block* block = this->Count(time, std::move(batch));
    if (context.run().topology().IsLocal(worker)) {
      this->Deliver(worker, block, this->kPlain);
    } else {
      int more = -1;
      this->graph_.errors().Guard(this->target_.node().step_id(), [&] {
        const size_t limit = context.run().options().cluster.max_frame_bytes;
        PackBatch<D>(context.endpoint(), block, encoder_, limit, [&](const PackedBatch& packed) {
          // Each part is a pointstamp; the first has been counted.
          if (++more > 0) this->tracker_.Record(this->target_.location, time, +1);
          this->DeliverRemote(worker, packed);
        });
      });
    }
  }

 private:
  bool ReachesAllWorkers() const final { return true; }

  Encoder encoder_;
};

template <class D, class T>
class GatherChannel final : public RoutedChannel<D, T> {
 public:
  using RoutedChannel<D, T>::RoutedChannel;
  void Push(const T& time, Batch<D>&& batch) override { this->SendTo(0, time, std::move(batch)); }
};

template <class D, class T>
class BroadcastChannel final : public RoutedChannel<D, T> {
 public:
  using RoutedChannel<D, T>::RoutedChannel;
  void Push(const T& time, Batch<D>&& batch) override {
    WorkerContext& worker = this->graph_.worker();
    for (int peer = 0; peer < worker.count(); ++peer) {
      if (peer == worker.index()) continue;
      Batch<D> copy;
      this->graph_.errors().Guard(this->target_.node().step_id(),
                                  [&] { copy.CopyFrom(worker.endpoint(), batch); });
      this->SendTo(peer, time, std::move(copy));
    }
    this->Send(worker.index(), time, std::move(batch));
  }
};

// Sends a batch to the worker that has got the fewest records through this channel; of several, to
// the next one after the last target. Turns alone would be unfair where full batches and rests
// alternate.
template <class D, class T>
class RoundRobinChannel final : public RoutedChannel<D, T> {
 public:
  RoundRobinChannel(Graph& graph, InputPortBase& target, ScopeTracker<T>& tracker)
      : RoutedChannel<D, T>(graph, target, tracker),
        sent_(static_cast<size_t>(graph.worker().count())),
        last_(static_cast<size_t>(graph.worker().index())) {}

  void Push(const T& time, Batch<D>&& batch) override {
    size_t target = last_;
    for (size_t i = 1; i <= sent_.size(); ++i) {
      const size_t other = (last_ + i) % sent_.size();
      if (i == 1 || sent_[other] < sent_[target]) target = other;
    }
    sent_[target] += batch.size();
    last_ = target;
    this->SendTo(static_cast<int>(target), time, std::move(batch));
  }

 private:
  std::vector<uint64_t> sent_;  // records, by worker
  size_t last_;                 // target; at first this worker, so that the workers differ
};

template <class D, class T>
Channel<D, T>& MakeChannel(pact::Pipeline, Graph& graph, InputPortBase& target,
                           ScopeTracker<T>& tracker) {
  return graph.objects().Make<PipelineChannel<D, T>>(graph, target, tracker);
}
template <class D, class T>
Channel<D, T>& MakeChannel(pact::Broadcast, Graph& graph, InputPortBase& target,
                           ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  static_assert(std::is_copy_constructible_v<D>,
                "pact::Broadcast gives every worker a copy, so its records must be copyable");
  return graph.objects().Make<BroadcastChannel<D, T>>(graph, target, tracker);
}
template <class D, class T>
Channel<D, T>& MakeChannel(pact::Gather, Graph& graph, InputPortBase& target,
                           ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  return graph.objects().Make<GatherChannel<D, T>>(graph, target, tracker);
}
template <class D, class T>
Channel<D, T>& MakeChannel(pact::RoundRobin, Graph& graph, InputPortBase& target,
                           ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  return graph.objects().Make<RoundRobinChannel<D, T>>(graph, target, tracker);
}
}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_GRAPH_CHANNEL_H_
