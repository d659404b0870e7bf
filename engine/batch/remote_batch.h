#ifndef HEADWAY_ENGINE_BATCH_REMOTE_BATCH_H_
#define HEADWAY_ENGINE_BATCH_REMOTE_BATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "comm/codec/codec.h"
#include "engine/batch/batch.h"

// Batches on their way to another process. A batch whose records are plain bytes, or columns of
// them, travels as it lies in memory and is read where it arrives. Any other is written record by
// record with the Codec of its type.

namespace headway::internal {

// A batch in the form in which it travels: parts of the payload of a block.
struct PackedBatch {
  Block* block = nullptr;
  WireParts parts;
};

// Whether batches of D travel as they lie in memory: their type says which parts of a block to send
// (PartsOf) and checks a block that came (CheckParts).
template <class D>
inline constexpr bool kReadInPlace = requires(const Block& block) {
  { Batch<D>::PartsOf(block) } -> std::same_as<WireParts>;
  { Batch<D>::CheckParts(block) } -> std::same_as<bool>;
} && (!std::is_same_v<Batch<D>, VectorBatch<D>> || BitwiseEncodable<D>);

// Records that own memory may be far larger than their block: what they become is divided when it
// is larger than this, between two records, or than half of what a frame may have.
inline constexpr size_t kPackedBytes = size_t{1} << 20;

// Takes a block that a Batch<D> released, and calls send(const PackedBatch&) for each part of it,
// most often one. `encoder` is scratch.
template <class D, class F>
void PackBatch(Endpoint& endpoint, Block* block, Encoder& encoder, size_t max_frame_bytes,
               F&& send) {
  if constexpr (kReadInPlace<D>) {
    send(PackedBatch{block, Batch<D>::PartsOf(*block)});
  } else {
    const bool is_small = block->capacity < kBlockPayloadBytes;
    std::byte time[sizeof(Block::time)];
    std::memcpy(time, block->time, sizeof(time));
    const Batch<D> batch(&endpoint, block);
    const size_t part_bytes = std::min(kPackedBytes, max_frame_bytes / 2);
    encoder.Clear();
    uint32_t count = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      Codec<std::remove_cvref_t<ReadType<D>>>::Encode(batch[i], encoder);
      ++count;
      if (i + 1 < batch.size() && encoder.size() < part_bytes) continue;
      const size_t bytes = encoder.size();
      Block* packed =
          is_small ? endpoint.pool().GetTight(bytes) : endpoint.pool().GetAtLeast(bytes);
      std::memcpy(packed->payload(), encoder.bytes().data(), bytes);
      std::memcpy(packed->time, time, sizeof(time));
      packed->record_count = std::exchange(count, 0);
      encoder.Clear();
      send(PackedBatch{packed, {.front_bytes = static_cast<uint32_t>(bytes), .back_bytes = 0}});
    }
  }
}

// Blocks up to this size are copied where they could be read in place, so that a few records that
// an operator keeps do not hold the memory of all that came with them.
inline constexpr uint32_t kCopyBytes = 4096;

// Takes a block that came from another process, and appends the blocks of the batches that are in
// it to `batches`. Returns false if it is not what PackBatch of the same type makes; then, and if
// it throws, what is in `batches` is not to be used. Its byte_count is what the sender was charged
// for it.
template <class D>
bool UnpackBatch(Endpoint& endpoint, Block* block, BlockList* batches) {
  // Here, too, it may hold no more memory than it was charged for.
  const bool is_small = block->byte_count < kBlockBytes;
  if constexpr (kReadInPlace<D>) {
    if (block->record_count == 0 || !Batch<D>::CheckParts(*block)) {
      endpoint.Recycle(block);
      return false;
    }
    if (block->capacity <= kCopyBytes) {
      const Batch<D> received(&endpoint, block);
      Batch<D> copy;
      copy.CopyFrom(endpoint, received);
      if (is_small) copy.Shrink(endpoint);
      block = copy.Release();
    }
    batches->PushBack(block);
    return true;
  } else {
    const absl::Cleanup recycle = [&] { endpoint.Recycle(block); };  // also if a codec throws
    const uint32_t count = block->record_count;
    Decoder decoder(std::span<const std::byte>(block->payload(), block->capacity));
    Batch<D> batch;
    bool good = count > 0;
    for (uint32_t i = 0; good && i < count; ++i) {
      D record{};
      good = Codec<D>::Decode(decoder, &record);
      if (good && !batch.TryAppend(std::move(record))) {
        if (!batch.empty()) batches->PushBack(batch.Release());
        batch.Allocate(endpoint, record);
        batch.TryAppend(std::move(record));
      }
    }
    if (good) {
      if (is_small) batch.Shrink(endpoint);
      batches->PushBack(batch.Release());
    }
    return good;
  }
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_BATCH_REMOTE_BATCH_H_
