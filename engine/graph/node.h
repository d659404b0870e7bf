#ifndef HEADWAY_ENGINE_GRAPH_NODE_H_
#define HEADWAY_ENGINE_GRAPH_NODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "comm/memory/block.h"
#include "progress/product.h"
#include "progress/tracker.h"

namespace headway::internal {

class Graph;
class ChannelBase;
class InputPortBase;
class OutputPortBase;

// Messages between workers that carry a batch of a channel.
inline constexpr uint32_t kDataMessage = 1;

// What flow control charges for a block: all the memory that it holds.
inline int64_t ChargedBytes(const Block& block) {
  return static_cast<int64_t>(sizeof(Block)) + block.capacity;
}

// A scheduled and tracked operator. Its logic runs when it is active: after a batch came, a watched
// frontier moved, or somebody asked for it.
class Node {
 public:
  Node(std::string step_id, uint32_t index) : step_id_(std::move(step_id)), index_(index) {}

  const std::string& step_id() const { return step_id_; }
  uint32_t index() const { return index_; }

  absl::AnyInvocable<void()> logic;
  std::vector<InputPortBase*> inputs;
  std::vector<OutputPortBase*> outputs;
  bool active = false;    // in the queue of nodes that want to run, or waiting for credit
  bool in_cycle = false;  // always runs: pausing it could stop the cycle for ever
  bool checks_credit_itself = false;  // runs without credit: a source closes its epochs
  int taken = 0;                      // batches taken in this activation

 private:
  const std::string step_id_;
  const uint32_t index_;
};

// A buffer in front of a channel, behind an output port and any number of transforms: what is in it
// is sent before the port's node returns.
class Flushable {
 public:
  virtual ~Flushable() = default;
  virtual void Flush() = 0;
};

// A transform that can stop between two output batches and go on later.
class Resumable {
 public:
  virtual ~Resumable() = default;
  // Goes on with what was left, as far as credit goes; returns whether it did anything.
  virtual bool Resume() = 0;
  // Whether nothing is left.
  virtual bool Done() const = 0;
  // Whether something that came through `port` is left.
  virtual bool Holds(const OutputPortBase& port) const = 0;

  // Set by CreditGate::Register. Transforms further downstream have larger ones.
  uint32_t build_index = 0;
};

// An input of a node: the queue of batches that have come and were not taken yet. Each of them is
// counted as a pointstamp at `location` until it is taken.
class InputPortBase {
 public:
  InputPortBase(Graph& graph, Node& node) : graph_(graph), node_(node) {}
  virtual ~InputPortBase() = default;
  InputPortBase(const InputPortBase&) = delete;
  InputPortBase& operator=(const InputPortBase&) = delete;

  void Accept(Block* block);
  // Drops what waits here.
  void Discard();
  bool empty() const { return queue_.empty(); }
  Node& node() { return node_; }

  LocationId location = 0;
  ChannelBase* channel = nullptr;
  bool watches_frontier = true;  // a change of the frontier activates the node

 protected:
  // Takes the oldest batch, whose bytes then no longer count as in flight; null if there is none.
  Block* TakeBlock();
  // Whether the node may take a batch in this activation: there is one, and it is the first, or
  // there is credit for more and the others need not have their turn yet.
  bool MayTakeAnother() {
    if (queue_.empty() || node_.taken >= kMaxBatchesPerActivation) return false;
    return node_.taken++ == 0 || OutputsHaveCredit();
  }

  Graph& graph_;
  Node& node_;
  BlockList queue_;

 private:
  // Batches that a node takes in one activation before the others have their turn.
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

  // Sends everything that waits here and in the buffers behind this port.
  void Flush() {
    FlushOwnBuffer();
    for (Flushable* buffer : buffers) buffer->Flush();
  }
  Node& node() { return node_; }
  const Node& node() const { return node_; }

  // Keeps a pointstamp for what a transform has left of a batch that came through this port: at the
  // time of `of`, which was kept for all of it, or, if that is null, of what is being pushed.
  // Returns what ReleaseHold needs.
  struct Hold {
    OutputPortBase* port;
    alignas(8) std::byte time[kMaxTimestampBytes];
  };
  virtual Hold AddHold(const Hold* of) = 0;
  virtual void ReleaseHold(const Hold& hold) = 0;

  LocationId location = 0;
  std::vector<Flushable*> buffers;     // behind this port
  std::vector<ChannelBase*> channels;  // behind this port: whose credit it needs
  int hold_count = 0;

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
