#ifndef HEADWAY_ENGINE_STATE_TABLE_CHANGES_H_
#define HEADWAY_ENGINE_STATE_TABLE_CHANGES_H_

#include <variant>

#include "engine/state/flat_table.h"

namespace headway::internal {

// The changes of a FlatTable since the last snapshot: marks in the table, and the stored keys that
// were erased. A key that was added and erased between two snapshots leaves nothing. Without Track
// nothing is recorded. Each function gets the same table. Not thread safe.
template <class K, class V>
class TableChanges {
 public:
  using Table = FlatTable<K, V>;
  using View = typename Table::View;

  // Starts to record. The keys that the table has count as stored.
  void Track(Table& table) {
    tracks_ = true;
    table.KeepMarks();
  }

  // Records that a value changed, or was added.
  void Note(Table& table, const V& value) {
    if (tracks_) table.MarkChanged(value);
  }
  // Records that a value is as it is stored.
  void NoteStored(Table& table, const V& value) {
    if (tracks_) table.MarkStored(value);
  }

  // Erases a key, and returns false if it is absent.
  template <class Key>
  bool Erase(Table& table, const Key& key) {
    if (!tracks_) return table.Erase(key);
    V* const value = table.Find(key);
    if (value == nullptr) return false;
    if (table.IsStored(*value)) erased_.At(key);
    table.EraseValue(*value);
    return true;
  }
  // Erases all keys.
  void Clear(Table& table) {
    if (tracks_) {
      table.ForEach([&](View key, const V& value) {
        if (table.IsStored(value)) erased_.At(key);
      });
    }
    table.Clear();
    if (tracks_) table.KeepMarks();
  }

  // Calls f(View key, const V* value) for each change, null for a key that is gone, in an order
  // that is the same for the same history. All keys of the table are stored then. `f` must not
  // change the table.
  template <class F>
  void Take(Table& table, F&& f) {
    erased_.ForEach([&](View key, std::monostate) {
      if (table.Find(key) == nullptr) f(key, static_cast<const V*>(nullptr));
    });
    erased_.Clear();
    table.TakeChanged([&](View key, const V& value) { f(key, &value); });
  }

 private:
  bool tracks_ = false;
  // Stored keys that were erased. One of them may have been added again.
  FlatTable<K, std::monostate> erased_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_TABLE_CHANGES_H_
