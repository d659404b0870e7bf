#ifndef HEADWAY_ENGINE_CHANNEL_H_
#define HEADWAY_ENGINE_CHANNEL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "headway/comm/codec.h"
#include "headway/comm/stable_hash.h"
#include "headway/engine/batch.h"
#include "headway/engine/graph.h"
#include "headway/engine/partition_in_two.h"
#include "headway/engine/remote_batch.h"
#include "headway/engine/tee.h"

// Channels carry batches from an output (with its transforms) to an input of a node, on this worker
// or on others. The parallelization contract (pact) of the input decides which worker gets a
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

}  // namespace pact

namespace internal {

// The part of a channel that does not depend on the record type: counts, credits and delivery.
class ChannelBase : public Flushable {
 public:
  ChannelBase(Graph& graph, InputPortBase& target);

  // Channels that keep records until a buffer is full say so, and override Flush.
  virtual bool KeepsRecords() const { return false; }
  void Flush() override {}
  InputPortBase& target() { return target_; }
  uint32_t id = 0;  // set by Graph::AddChannel

  // Whether the sender may have another batch in flight though the shared pool is full.
  bool HasExclusiveCredit() const;
  void CountTaken(const Block& block);
  // Another process has taken `bytes` of what this worker sent it.
  void AddCredit(int64_t bytes);

  // Takes a batch that came from another process.
  virtual void AcceptRemote(Block* block);

 protected:
  // Hands the block to the input on `worker`, of this process. The caller has counted it as a
  // pointstamp. `plain_time_bytes` is the size of its time if its payload is nothing but records
  // that may be copied as bytes, else 0.
  void Deliver(int worker, Block* block, size_t plain_time_bytes);
  void DeliverRemote(int worker, const PackedBatch& batch);
  // Whether a batch is to hold no more memory than its records need: the pool is full, and what
  // goes round a cycle counts against the limit of the cycle, however few records its batches have.
  bool WantsSmallBlocks() {
    return target_.node().in_cycle && !graph_.worker().credit.PoolHasRoom();
  }
  // Ends the run because of what came from another process; frees the block.
  void RefuseRemote(int sender, std::string_view why);

  Graph& graph_;
  InputPortBase& target_;
  friend class Graph;

 private:
  std::shared_ptr<ChannelCredits> credits_;
};

// A channel whose records stay on this worker; the base of the others, which say where else a batch
// goes.
template <class D, class T>
class PipelineChannel : public ChannelBase, public Receiver<D, T> {
 public:
  PipelineChannel(Graph& graph, InputPortBase& target, ScopeTracker<T>& tracker)
      : ChannelBase(graph, target), tracker_(tracker) {}

  void Push(const T& time, Batch<D>&& batch) override {
    Send(graph_.worker().index, time, std::move(batch));
  }

 protected:
  static constexpr size_t kPlainTimeBytes =
      std::is_same_v<Batch<D>, VectorBatch<D>> && std::is_trivially_copyable_v<D> ? sizeof(T) : 0;

  void Send(int worker, const T& time, Batch<D>&& batch) {
    Deliver(worker, Count(time, std::move(batch)), kPlainTimeBytes);
  }

  // Takes the batch's block; it is a pointstamp from now on.
  Block* Count(const T& time, Batch<D>&& batch) {
    if (WantsSmallBlocks()) [[unlikely]] {
      batch.Shrink(graph_.worker().endpoint);
    }
    Block* block = batch.Release();
    block->SetTime(time);
    tracker_.Record(target_.location, time, +1);
    return block;
  }

  ScopeTracker<T>& tracker_;
};

// A channel whose records may go to workers of other processes; the base of those that say which.
template <class D, class T>
class RoutedChannel : public PipelineChannel<D, T> {
 public:
  using PipelineChannel<D, T>::PipelineChannel;

  void AcceptRemote(Block* block) override {
    const T time = block->Time<T>();
    const uint16_t sender = block->sender;
    uint32_t charged = block->byte_count;
    Endpoint& endpoint = this->graph_.worker().endpoint;
    BlockList batches;
    const absl::Cleanup recycle = [&] {  // what was not accepted
      while (Block* batch = batches.PopFront()) endpoint.Recycle(batch);
    };
    bool good = false;
    try {
      this->graph_.GuardStep(this->target_.node().step_id(),
                             [&] { good = UnpackBatch<D>(endpoint, block, &batches); });
    } catch (const StepFailed&) {
      return;
    }
    if (!good) {
      this->RefuseRemote(sender, "a batch that is not of this step's record type");
      return;
    }
    // The sender has counted one batch.
    const auto more = static_cast<int64_t>(batches.count()) - 1;
    if (more > 0) this->tracker_.Record(this->target_.location, time, more);
    while (Block* batch = batches.PopFront()) {
      batch->SetTime(time);
      batch->sender = sender;
      batch->byte_count = std::exchange(charged, 0);
      this->target_.Accept(batch);
    }
  }

 protected:
  void SendTo(int worker, const T& time, Batch<D>&& batch) {
    WorkerContext& context = this->graph_.worker();
    Block* block = this->Count(time, std::move(batch));
    if (context.run.topology().IsLocal(worker)) {
      this->Deliver(worker, block, this->kPlainTimeBytes);
    } else {
      int more = -1;
      this->graph_.GuardStep(this->target_.node().step_id(), [&] {
        const size_t limit = context.run.options().cluster.max_frame_bytes;
        PackBatch<D>(context.endpoint, block, encoder_, limit, [&](const PackedBatch& packed) {
          // Each part is a pointstamp; the first has been counted.
          if (++more > 0) this->tracker_.Record(this->target_.location, time, +1);
          this->DeliverRemote(worker, packed);
        });
      });
    }
  }

 private:
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
    for (int peer = 0; peer < worker.count; ++peer) {
      if (peer == worker.index) continue;
      Batch<D> copy;
      this->graph_.GuardStep(this->target_.node().step_id(),
                             [&] { copy.CopyFrom(worker.endpoint, batch); });
      this->SendTo(peer, time, std::move(copy));
    }
    this->Send(worker.index, time, std::move(batch));
  }
};

// Partitions batches by the hash of a key into one buffer for each worker. A buffer is sent when it
// is full, when the time changes, and when the producer returns.
template <class D, class T, class KeyFn>
class ExchangeChannel final : public RoutedChannel<D, T> {
 public:
  ExchangeChannel(Graph& graph, InputPortBase& target, ScopeTracker<T>& tracker, KeyFn key)
      : RoutedChannel<D, T>(graph, target, tracker),
        key_(std::move(key)),
        buffers_(static_cast<size_t>(graph.worker().count)) {}

  void Push(const T& time, Batch<D>&& batch) override {
    if (buffers_.size() == 1) {
      this->Send(0, time, std::move(batch));
      return;
    }
    if (!(time == time_)) {
      Flush();
      time_ = time;
    }
    has_records_ = true;
    this->graph_.GuardStep(this->target_.node().step_id(), [&] {
      if (batch.size() == 1) {
        PartitionSingle(batch);
        return;
      }
      if constexpr (kCopiesPlainRecords || std::is_same_v<Batch<D>, StringBatch>) {
        if (buffers_.size() == 2) {
          PartitionInTwo(batch);
          return;
        }
      }
      Partition(batch);
    });
  }

  bool KeepsRecords() const override { return buffers_.size() > 1; }
  void Flush() override {
    if (!std::exchange(has_records_, false)) return;
    for (size_t worker = 0; worker < buffers_.size(); ++worker) {
      if (!buffers_[worker].empty()) {
        this->SendTo(static_cast<int>(worker), time_, std::move(buffers_[worker]));
      }
    }
  }

 private:
  static constexpr bool kCopiesPlainRecords = std::is_same_v<Batch<D>, VectorBatch<D>> &&
                                              std::is_trivially_copyable_v<D> &&
                                              std::is_copy_assignable_v<D> && sizeof(D) <= 32;

  using Key = std::remove_cvref_t<std::invoke_result_t<KeyFn&, ReadType<D>>>;
  static constexpr bool kDividesTogether = kCopiesPlainRecords && std::is_integral_v<Key>;

  static DivideInTwoFn<D, Key> SelectDivide() {
    if constexpr (kDividesTogether) return SelectDivideInTwo<D, Key>();
    return nullptr;
  }

  void Partition(Batch<D>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) PartitionOne(batch, i);
  }
  int TargetOf(const Batch<D>& batch, size_t i) {
    return RouteHash(StableHash(key_(batch[i])), static_cast<int>(buffers_.size()));
  }
  // The batch itself becomes the buffer, without a copy, if nothing waits for the same worker and
  // its block is one that a buffer would have.
  void PartitionSingle(Batch<D>& batch) {
    const int target = TargetOf(batch, 0);
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (buffer.empty() && batch.has_default_block()) {
      buffer = std::move(batch);
    } else {
      AppendTo(target, batch, 0);
    }
  }
  void PartitionOne(Batch<D>& batch, size_t i) { AppendTo(TargetOf(batch, i), batch, i); }
  void AppendTo(int target, Batch<D>& batch, size_t i) {
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (!buffer.TryAppend(batch.Take(i))) {
      MakeRoom(target, batch[i]);
      buffer.TryAppend(batch.Take(i));
    }
  }

  // Two targets and plain records: no branch depends on the data, and room is checked once per run.
  void PartitionInTwo(VectorBatch<D>& batch) {
    const D* from = batch.begin();
    const D* const last = batch.end();
    while (from != last) {
      for (int target : {0, 1}) {
        if (buffers_[static_cast<size_t>(target)].room() == 0) MakeRoom(target, *from);
      }
      size_t run =
          std::min({static_cast<size_t>(last - from), buffers_[0].room(), buffers_[1].room()});
      D* to0 = buffers_[0].end();
      D* to1 = buffers_[1].end();
      const D* const end = from + run;
      if constexpr (kDividesTogether) {
        if (divide_in_two_ != nullptr) from = DivideTogether(from, end, &to0, &to1);
      }
      for (; from != end; ++from) {
        const int target = RouteHash(StableHash(key_(*from)), 2);
        StoreToOneOfTwo(*from, static_cast<uint64_t>(target), &to0, &to1);
      }
      buffers_[0].Grow(static_cast<size_t>(to0 - buffers_[0].end()));
      buffers_[1].Grow(static_cast<size_t>(to1 - buffers_[1].end()));
    }
  }

  // Divides all records but the last few, and returns the first of these.
  const D* DivideTogether(const D* from, const D* end, D** to0, D** to1) {
    // Many keys are made before the first is read: a processor waits long where it reads, in wider
    // words, what it has just written.
    std::array<Key, 8 * kDividedTogether> keys;  // not initialized
    while (static_cast<size_t>(end - from) >= kDividedTogether) {
      const size_t whole = static_cast<size_t>(end - from) / kDividedTogether * kDividedTogether;
      const size_t run = std::min(whole, keys.size());
      const Key* key = keys.data();
      if constexpr (std::is_same_v<KeyFn, std::identity>) {
        key = from;
      } else {
        for (size_t i = 0; i < run; ++i) keys[i] = key_(from[i]);
      }
      for (const D* const stop = from + run; from != stop; from += kDividedTogether) {
        divide_in_two_(key, from, to0, to1);
        key += kDividedTogether;
      }
    }
    return from;
  }

  // The same for short strings; long ones go one by one.
  void PartitionInTwo(StringBatch& batch) {
    for (size_t i = 0; i < batch.size();) {
      for (int target : {0, 1}) {
        if (buffers_[static_cast<size_t>(target)].room_for_short() == 0) {
          MakeRoom(target, std::string_view());
        }
      }
      const size_t run =
          std::min({batch.size() - i, buffers_[0].room_for_short(), buffers_[1].room_for_short()});
      StringBatch::ShortWriter to0(buffers_[0]);
      StringBatch::ShortWriter to1(buffers_[1]);
      const size_t end = i + run;
      for (; i < end; ++i) {
        const BatchString record = batch[i];
        if (record.size() > StringBatch::kShortMax) [[unlikely]] {
          break;
        }
        const auto bit = static_cast<uint32_t>(RouteHash(StableHash(key_(record)), 2));
        to0.Write(record, 1 - bit);
        to1.Write(record, bit);
      }
      to0.Finish(buffers_[0]);
      to1.Finish(buffers_[1]);
      if (i < end) PartitionOne(batch, i++);
    }
  }

  template <class U>
  void MakeRoom(int target, const U& record) {
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (!buffer.empty()) this->SendTo(target, time_, std::move(buffer));
    buffer.Allocate(this->graph_.worker().endpoint, record);
  }

  KeyFn key_;
  const DivideInTwoFn<D, Key> divide_in_two_ = SelectDivide();
  std::vector<Batch<D>> buffers_;
  bool has_records_ = false;  // in some buffer, perhaps
  T time_ = TimestampTraits<T>::Minimum();
};

template <class D, class T>
PipelineChannel<D, T>& MakeChannel(pact::Pipeline, Graph& graph, InputPortBase& target,
                                   ScopeTracker<T>& tracker) {
  return graph.Make<PipelineChannel<D, T>>(graph, target, tracker);
}
template <class D, class T>
PipelineChannel<D, T>& MakeChannel(pact::Broadcast, Graph& graph, InputPortBase& target,
                                   ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  static_assert(std::is_copy_constructible_v<D>,
                "pact::Broadcast gives every worker a copy, so its records must be copyable");
  return graph.Make<BroadcastChannel<D, T>>(graph, target, tracker);
}
template <class D, class T>
PipelineChannel<D, T>& MakeChannel(pact::Gather, Graph& graph, InputPortBase& target,
                                   ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  return graph.Make<GatherChannel<D, T>>(graph, target, tracker);
}
template <class D, class T, class KeyFn>
PipelineChannel<D, T>& MakeChannel(pact::Exchange<KeyFn> exchange, Graph& graph,
                                   InputPortBase& target, ScopeTracker<T>& tracker) {
  RequireCodec<D>();
  static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                "the key function of an exchange must take one record of its stream, with "
                "std::string_view for its strings");
  return graph.Make<ExchangeChannel<D, T, KeyFn>>(graph, target, tracker, std::move(exchange.key));
}

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_ENGINE_CHANNEL_H_
