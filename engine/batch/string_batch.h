#ifndef HEADWAY_ENGINE_BATCH_STRING_BATCH_H_
#define HEADWAY_ENGINE_BATCH_STRING_BATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "comm/local/fabric.h"
#include "engine/batch/batch_string.h"
#include "engine/batch/string_arena.h"

namespace headway {

namespace internal {

struct StringRow {
  std::array<uint32_t, 1> ends;
};

}  // namespace internal

// A batch of strings in columns: their bytes and their ends. Reading yields a `BatchString`, a
// std::string_view that is valid as long as the batch; copy it to keep it longer.
class StringBatch : public internal::StringArena<internal::StringRow> {
 public:
  using Record = std::string;
  using StringArena::StringArena;

  BatchString operator[](size_t i) const { return StringAt(StartOf(i), RowAt(i).ends[0]); }
  BatchString Take(size_t i) { return (*this)[i]; }

  bool TryAppend(std::string_view record) { return Append(record); }
  bool TryAppend(BatchString record) { return Append(record); }

  void Allocate(internal::Endpoint& endpoint, std::string_view record) {
    AllocateFor(endpoint, record.size());
  }

  // A lower bound of the number of strings of up to kShortMax bytes that still fit.
  static constexpr size_t kShortMax = BatchString::kReadableBeyond;
  size_t room_for_short() const {
    const size_t taken = used_ + kBeyond + size_ * sizeof(internal::StringRow);
    return taken >= capacity_ ? 0 : (capacity_ - taken) / (kShortMax + sizeof(internal::StringRow));
  }

  // Appends short strings in a loop. Keeps the batch's fields in locals, since the compiler must
  // assume that a write through a char* changes them.
  class ShortWriter {
   public:
    explicit ShortWriter(const StringBatch& batch)
        : bytes_(batch.bytes_), rows_(batch.rows_), size_(batch.size_), used_(batch.used_) {}
    // Writes a string, and keeps it if `keep` is 1; if it is 0, the next string overwrites it.
    // REQUIRES: record.size() <= kShortMax, and room for it.
    void Write(BatchString record, uint32_t keep) {
      const auto size = static_cast<uint32_t>(record.size());
      std::memcpy(bytes_ + used_, record.data(), kShortMax);
      rows_[-static_cast<ptrdiff_t>(size_) - 1].ends[0] = used_ + size;
      size_ += keep;
      used_ += size & (0 - keep);
    }
    // Makes the strings that were kept part of the batch.
    void Finish(StringBatch& batch) const {
      batch.size_ = size_;
      batch.used_ = used_;
    }

   private:
    char* const bytes_;
    internal::StringRow* const rows_;
    uint32_t size_;
    uint32_t used_;
  };

  internal::BatchIterator<StringBatch> begin() const { return {this, 0}; }
  internal::BatchIterator<StringBatch> end() const { return {this, size_}; }

 private:
  template <class String>
  bool Append(String record) {
    const uint32_t used = used_;
    if (!HasRoom(used, record.size())) [[unlikely]] {
      return false;
    }
    AddRow({{Write(used, record)}});
    return true;
  }
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_STRING_BATCH_H_
