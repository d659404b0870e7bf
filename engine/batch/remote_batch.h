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

// Batches between processes. A batch whose records are plain bytes, or columns of them, is sent as
// it lies in memory and read in place where it arrives. Records of other types are encoded one by
// one with the Codec of their type.

namespace headway::internal {

// A batch in the form in which it is sent: parts of the payload of a block.
struct PackedBatch {
  Block* block = nullptr;
  WireParts parts;
};

// Whether batches of D are sent as they lie in memory. Their type then selects the parts of a block
// to send (PartsOf) and validates a block that was received (CheckParts).
template <class D>
inline constexpr bool kReadInPlace = requires(const Block& block) {
  { Batch<D>::PartsOf(block) } -> std::same_as<WireParts>;
  { Batch<D>::CheckParts(block) } -> std::same_as<bool>;
} && (!std::is_same_v<Batch<D>, VectorBatch<D>> || BitwiseEncodable<D>);

// Records that own memory may be far larger than their block. Encoded batches are divided between
// two records when they exceed this size, or half of the frame limit.
inline constexpr size_t kPackedBytes = size_t{1} << 20;

// Takes a block that a Batch<D> released, and calls send(const PackedBatch&) for each part of it;
// most batches have one part. `encoder` is scratch.
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

// Blocks up to this size are copied although they could be read in place. Otherwise a few records
// that an operator keeps would hold the memory of the whole slab.
inline constexpr uint32_t kCopyBytes = 4096;

// Takes a block that was received from another process, and appends the blocks of its batches to
// `batches`. Returns false if PackBatch of the same type did not make it. After false or an
// exception the contents of `batches` must not be used.
template <class D>
bool UnpackBatch(Endpoint& endpoint, Block* block, BlockList* batches) {
  // The receiver, too, may hold no more memory than the sender was charged for.
  const bool is_small = block->charged_bytes < kBlockBytes;
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
        // A record that was not appended was not moved from.
        // NOLINTNEXTLINE(bugprone-use-after-move)
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
