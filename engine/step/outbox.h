#ifndef HEADWAY_ENGINE_STEP_OUTBOX_H_
#define HEADWAY_ENGINE_STEP_OUTBOX_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace headway {

// The items of one epoch that a transactional sink publishes, in the order in which Lane::Write
// adds them. An item is any sequence of bytes, and may be empty. Belongs to the worker's thread.
// See transactional_sink.h.
class Outbox {
 public:
  // Copies the item. REQUIRES: it has less than 4 GiB.
  void Add(std::string_view item);

  bool empty() const { return chunks_.empty(); }
  size_t byte_count() const { return byte_count_; }

  // ---- For the engine ----

  // The items, packed in chunks of limited size: a snapshot has one entry for each. An item is
  // never divided.
  const std::vector<std::string>& chunks() const { return chunks_; }
  // Takes a chunk out of a snapshot. Returns false if it is not one that Add made.
  bool Restore(std::string_view chunk);
  // Appends views of the items. They are valid until the outbox changes.
  void AppendTo(std::vector<std::string_view>& items) const;

 private:
  // A chunk that has this size is full.
  static constexpr size_t kChunkBytes = 64 * 1024;

  std::vector<std::string> chunks_;
  size_t byte_count_ = 0;  // of the chunks
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_OUTBOX_H_
