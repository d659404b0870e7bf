#ifndef HEADWAY_ENGINE_GRAPH_NODE_H_
#define HEADWAY_ENGINE_GRAPH_NODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "comm/memory/block.h"
#include "engine/graph/watermark.h"
#include "progress/product.h"
#include "progress/tracker.h"

namespace headway::internal {

class Graph;
class ChannelBase;
class InputPortBase;
class OutputPortBase;

// A scheduled and tracked operator. Its logic runs when the node is active: after a batch arrived,
// a watched frontier moved, or an activator asked for it.
class Node {
 public:
  Node(std::string step_id, uint32_t index) : step_id_(std::move(step_id)), index_(index) {}

  const std::string& step_id() const { return step_id_; }
  uint32_t index() const { return index_; }

  // The least watermark of the inputs that are active. Inputs without a channel get no records, and
  // no watermark.
  Watermark InputWatermark() const;
  // The watermark that the node sends: that of its inputs, or its limit if that is less.
  Watermark OutputWatermark() const;

  absl::AnyInvocable<void()> logic;
  std::vector<InputPortBase*> inputs;
  std::vector<OutputPortBase*> outputs;
  bool active = false;   // in the run queue, or waiting for credit
  bool running = false;  // its logic is under way: only then it takes and sends batches
  bool checks_credit_itself = false;  // runs without credit: a source closes epochs
  bool takes_nothing = false;         // leaves batches in its inputs until it is activated again
  bool flushes = false;               // a sink: holds an epoch until it is flushed
  bool woken = false;                 // by another thread, and the logic did not reset it yet
  bool may_be_woken = false;          // the host feeds it, or an activator may run it
  struct OutgoingWatermark {
    // The input whose watermark changed last in this activation; null: none did.
    InputPortBase* changed = nullptr;
    // The watermark of the first record that the node keeps, if it keeps some.
    EventTime limit = kNoWatermarkLimit;
  };
  OutgoingWatermark watermark;
  int taken = 0;  // batches taken in this activation
  // The cycle that the node belongs to. Such a node runs without credit for the batches that stay
  // in the cycle: pausing it could stop the cycle for ever.
  static constexpr int kNoCycle = -1;
  int cycle = kNoCycle;
  bool in_cycle() const { return cycle != kNoCycle; }

 private:
  const std::string step_id_;
  const uint32_t index_;
};

// A buffer in front of a channel, behind an output port and any number of transforms. Its records
// are sent before the port's node returns.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void Flush() = 0;
};

// A transform that can stop between two output batches and continue later.
class Resumable {
 public:
  virtual ~Resumable() = default;
  // Continues with the rest of its batches as far as credit allows. Returns true if it did
  // anything.
  virtual bool Resume() = 0;
  // Returns true if nothing is left.
  virtual bool Done() const = 0;
  // Returns true if records of a batch that came through `port` are left.
  virtual bool Holds(const OutputPortBase& port) const = 0;
  // Returns true if `f` is true for one of the ports through which the rest came.
  virtual bool AnyPort(absl::FunctionRef<bool(const OutputPortBase&)> f) const = 0;

  // Set by CreditGate::Register. Transforms further downstream have larger ones.
  uint32_t build_index = 0;
};

// An input of a node: the queue of batches that have arrived and were not taken yet. Each batch
// counts as a pointstamp at `location` until it is taken. Credit bounds the queue.
class InputPortBase {
 public:
  InputPortBase(Graph& graph, Node& node) : graph_(graph), node_(node) {}
  virtual ~InputPortBase() = default;
  InputPortBase(const InputPortBase&) = delete;
  InputPortBase& operator=(const InputPortBase&) = delete;

  void Accept(Block* block);
  // Drops the queued batches.
  void Discard();
  bool empty() const { return queue_.empty(); }
  // The charged bytes of the queued batches for whose blocks `counts` is true.
  int64_t QueuedBytes(absl::FunctionRef<bool(const Block&)> counts) const;
  Node& node() { return node_; }
  const SenderWatermarks& watermarks() const { return watermarks_; }
  // Sends `watermark` through all outputs of the node, at the time at which this input's watermark
  // changed.
  virtual void ForwardWatermark(const Watermark& watermark) = 0;

  LocationId location = 0;
  ChannelBase* channel = nullptr;
  bool watches_frontier = true;  // a change of the frontier activates the node

 protected:
  // Takes the oldest batch; its bytes no longer count as in flight. Null if the queue is empty.
  Block* TakeBlock();
  // Returns true if the node may take a batch in this activation: one is queued, and it is the
  // first of the activation, or the outputs have credit and the limit of batches is not reached.
  bool MayTakeAnother() {
    if (queue_.empty() || node_.taken >= kMaxBatchesPerActivation) return false;
    return node_.taken++ == 0 || OutputsHaveCredit();
  }
  // Reads and recycles a block without records.
  ArrivedWatermark TakeWatermark(Block* block);

  Graph& graph_;
  Node& node_;
  BlockList queue_;
  SenderWatermarks watermarks_;

 private:
  // Batches that a node takes in one activation before other nodes run.
  static constexpr int kMaxBatchesPerActivation = 32;

  bool OutputsHaveCredit() const;
};

// An output of a node. Records wait in its buffer until it is full, the time changes or the node
// returns.
class OutputPortBase {
 public:
  OutputPortBase(Graph& graph, Node& node) : graph_(graph), node_(node) {}
  virtual ~OutputPortBase() = default;
  OutputPortBase(const OutputPortBase&) = delete;
  OutputPortBase& operator=(const OutputPortBase&) = delete;

  // Sends the records in the port's buffer and in the buffers behind the port.
  void Flush() {
    FlushOwnBuffer();
    for (Flushable* buffer : buffers) buffer->Flush();
  }
  Node& node() { return node_; }
  const Node& node() const { return node_; }

  // Adds a pointstamp for the rest of a batch that came through this port and that a transform
  // keeps: at the time of `of`, the hold of the whole batch, or of the current push if `of` is
  // null. The caller passes the result to ReleaseHold.
  struct Hold {
    OutputPortBase* port;
    alignas(8) std::byte time[kMaxTimestampBytes];
    uint32_t partition = 0;  // of `partitions`
  };
  virtual Hold AddHold(const Hold* of) = 0;
  virtual void ReleaseHold(const Hold& hold) = 0;

  // Sends a watermark behind all records, at a time of the port's type. The node has the right to
  // send at that time.
  virtual void PushWatermark(const void* time, const Watermark& watermark) = 0;

  LocationId location = 0;
  std::vector<Flushable*> buffers;     // behind this port
  std::vector<ChannelBase*> channels;  // behind this port: whose credit it needs
  int hold_count = 0;
  uint32_t open_sessions = 0;
  bool of_source = false;
  ReadPartitions* partitions = nullptr;  // of a source that has them
  bool has_sent = false;                 // a session was begun in this activation of the node

 protected:
  virtual void FlushOwnBuffer() = 0;

  Graph& graph_;
  Node& node_;
};

// The first time of a scope: the run's first epoch, at the minimum of every inner coordinate.
template <class T>
struct FirstTimeOf {
  static T At(Epoch) { return TimestampTraits<T>::Minimum(); }
};
template <>
struct FirstTimeOf<Epoch> {
  static Epoch At(Epoch first_epoch) { return first_epoch; }
};
template <class Outer, class Inner>
struct FirstTimeOf<Product<Outer, Inner>> {
  static Product<Outer, Inner> At(Epoch first_epoch) {
    return {FirstTimeOf<Outer>::At(first_epoch), TimestampTraits<Inner>::Minimum()};
  }
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_NODE_H_
