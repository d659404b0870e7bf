#ifndef HEADWAY_ENGINE_STATE_TABLE_MARKS_H_
#define HEADWAY_ENGINE_STATE_TABLE_MARKS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace headway::internal {

// Two marks for each slot of a hash table: its entry changed since the last snapshot, and its entry
// is stored, that is, an earlier snapshot has its key. A vacant slot has no mark. Not thread safe.
class TableMarks {
 public:
  // No marks: `exist` is false, and no other function but MoveTo may be called.
  TableMarks() = default;
  explicit TableMarks(size_t slots) : words_(slots / kSlotsPerWord + 1) {}

  bool exist() const { return !words_.empty(); }

  void SetChanged(size_t slot) { words_[slot / kSlotsPerWord] |= ChangedBit(slot); }
  void SetStored(size_t slot) { words_[slot / kSlotsPerWord] |= StoredBit(slot); }
  bool IsStored(size_t slot) const { return (words_[slot / kSlotsPerWord] & StoredBit(slot)) != 0; }

  // Moves the marks of a slot to slot `to` of `target`, which has none. No effect without marks.
  void MoveTo(size_t slot, TableMarks& target, size_t to) {
    if (!exist()) return;
    const uint64_t word = words_[slot / kSlotsPerWord];
    if ((word & ChangedBit(slot)) != 0) target.SetChanged(to);
    if ((word & StoredBit(slot)) != 0) target.SetStored(to);
    Clear(slot);
  }
  void Clear(size_t slot) {
    if (exist()) words_[slot / kSlotsPerWord] &= ~(ChangedBit(slot) | StoredBit(slot));
  }

  // Calls f(slot) for the changed slots, in ascending order. They are stored then, and unchanged.
  template <class F>
  void TakeChanged(F&& f) {
    for (size_t i = 0; i < words_.size(); ++i) {
      const uint64_t changed = words_[i] & kAllChanged;
      for (uint64_t left = changed; left != 0; left &= left - 1) {
        f(i * kSlotsPerWord + static_cast<size_t>(std::countr_zero(left)));
      }
      words_[i] = (words_[i] ^ changed) | changed << kSlotsPerWord;
    }
  }

 private:
  // A word has both marks of its slots, so that they are in one cache line: the low half says which
  // are changed, the high half which are stored.
  static constexpr size_t kSlotsPerWord = 32;
  static constexpr uint64_t kAllChanged = (uint64_t{1} << kSlotsPerWord) - 1;

  static uint64_t ChangedBit(size_t slot) { return uint64_t{1} << slot % kSlotsPerWord; }
  static uint64_t StoredBit(size_t slot) { return ChangedBit(slot) << kSlotsPerWord; }

  std::vector<uint64_t> words_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_TABLE_MARKS_H_
