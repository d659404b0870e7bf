#ifndef HEADWAY_COMM_LOCAL_MESSAGE_H_
#define HEADWAY_COMM_LOCAL_MESSAGE_H_

#include <cstdint>
#include <type_traits>

#include "check.h"
#include "comm/memory/block.h"

namespace headway::internal {

// The kinds of messages between the endpoints of a process. The endpoint behind the last worker
// stands for all other processes; it is called the network here.
enum class MessageKind : uint32_t {
  kBatch,          // worker to worker: a batch of a channel
  kOutgoingBatch,  // worker to network: a batch for a worker of another process
  kIncomingBatch,  // network to worker: a batch from a worker of another process
  kReturnedBytes,  // worker to network: the bytes of incoming batches that were consumed
  kCredit,         // network to worker: the bytes of outgoing batches that were consumed
  // Endpoints exchange these among themselves; receivers never see them.
  kSmallBatch,      // a batch that travels in its mailbox slot, without a block
  kReturnedBlocks,  // free blocks for the pool that they came from
};

// The payload of kOutgoingBatch, beside its block. The block's charged_bytes tell the price.
struct OutgoingBatch {
  uint32_t target;       // the receiving worker, counted through the cluster
  uint32_t front_bytes;  // of the block's payload, sent from its begin
  uint32_t back_bytes;   // of the block's payload, sent up to its end
};

// The payload of kReturnedBytes.
struct ReturnedBytes {
  uint32_t sender;  // the worker that sent the batches, counted through the cluster
  uint32_t bytes;
};

// The payload of kCredit.
struct CreditedBytes {
  uint32_t process;  // the process that consumed the batches
  uint32_t bytes;
};

// The payload of kSmallBatch: the block's header, and the sizes of the bytes in the slot.
struct SmallBatchHeader {
  uint32_t record_count;
  uint32_t charged_bytes;
  uint16_t sender;
  uint16_t time_bytes;
  uint16_t record_bytes;
};

// A message from one endpoint of a process to another: a kind, the channel of a dataflow that it is
// about, for some kinds a chain of blocks (linked by Block::next), and the payload of its kind.
//
// A message is plain memory and owns nothing: its sender and its receiver own the blocks in turn.
// The accessors of payloads check the kind in debug builds.
//
// Thread safety: none; a Mailbox hands it over.
class Message {
 public:
  // An empty message, to be overwritten.
  Message() : kind_(MessageKind::kCredit), credited_{} {}

  static Message Batch(uint32_t dataflow, uint32_t channel, Block* block) {
    return Message(MessageKind::kBatch, dataflow, channel, block);
  }
  static Message Outgoing(uint32_t dataflow, uint32_t channel, Block* block,
                          const OutgoingBatch& batch) {
    Message message(MessageKind::kOutgoingBatch, dataflow, channel, block);
    message.outgoing_ = batch;
    return message;
  }
  static Message Incoming(uint32_t dataflow, uint32_t channel, Block* block) {
    return Message(MessageKind::kIncomingBatch, dataflow, channel, block);
  }
  static Message Returned(uint32_t dataflow, uint32_t channel, const ReturnedBytes& returned) {
    Message message(MessageKind::kReturnedBytes, dataflow, channel, nullptr);
    message.returned_ = returned;
    return message;
  }
  static Message Credited(uint32_t dataflow, uint32_t channel, const CreditedBytes& credited) {
    Message message(MessageKind::kCredit, dataflow, channel, nullptr);
    message.credited_ = credited;
    return message;
  }
  static Message Small(uint32_t dataflow, uint32_t channel, const SmallBatchHeader& header) {
    Message message(MessageKind::kSmallBatch, dataflow, channel, nullptr);
    message.small_ = header;
    return message;
  }
  static Message Blocks(Block* chain) { return Message(MessageKind::kReturnedBlocks, 0, 0, chain); }

  MessageKind kind() const { return kind_; }
  uint32_t dataflow() const { return dataflow_; }
  uint32_t channel() const { return channel_; }

  // The chain of blocks that goes with the message; null if its kind has none.
  Block* block() const { return block_; }

  // REQUIRES, for each: the message is of that kind.
  const OutgoingBatch& outgoing() const {
    HEADWAY_DCHECK(kind_ == MessageKind::kOutgoingBatch);
    return outgoing_;
  }
  const ReturnedBytes& returned() const {
    HEADWAY_DCHECK(kind_ == MessageKind::kReturnedBytes);
    return returned_;
  }
  const CreditedBytes& credited() const {
    HEADWAY_DCHECK(kind_ == MessageKind::kCredit);
    return credited_;
  }
  const SmallBatchHeader& small() const {
    HEADWAY_DCHECK(kind_ == MessageKind::kSmallBatch);
    return small_;
  }

 private:
  Message(MessageKind kind, uint32_t dataflow, uint32_t channel, Block* block)
      : kind_(kind), dataflow_(dataflow), channel_(channel), block_(block), small_{} {}

  MessageKind kind_;
  uint32_t dataflow_ = 0;
  uint32_t channel_ = 0;
  Block* block_ = nullptr;
  union {
    OutgoingBatch outgoing_;
    ReturnedBytes returned_;
    CreditedBytes credited_;
    SmallBatchHeader small_;
  };
};

static_assert(std::is_trivially_copyable_v<Message>);
static_assert(sizeof(Message) == 40, "a message and the turn of its slot leave room for a record");

}  // namespace headway::internal

#endif  // HEADWAY_COMM_LOCAL_MESSAGE_H_
