#ifndef HEADWAY_ENGINE_STORE_HASH_COLUMN_H_
#define HEADWAY_ENGINE_STORE_HASH_COLUMN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/column.h"

namespace headway::internal {

// How the hashes of a block are stored. Hashes are the largest column of small rows, and random, so
// they are left out if the keys give them.
enum class HashRule : char {
  kStored = 0,   // the difference of each hash to the hash before, 8 bytes each, in planes
  kInteger = 1,  // nothing: a key is 8 bytes, the hash that of the integer in them
  kString = 2,   // nothing: a key is a length and so many bytes, the hash that of the string
};

// Encodes the column of hashes of a block: one byte with the HashRule, then its bytes. Not thread
// safe.
class HashColumnWriter {
 public:
  // REQUIRES: the hash is not less than the one before.
  void Add(uint64_t hash, std::string_view key);
  // Appends the encoded column to `out`. The writer is empty then, and keeps its memory.
  void Finish(std::string& out);

  size_t size() const { return hashes_.size(); }
  uint64_t first() const { return hashes_.front(); }
  uint64_t last() const { return hashes_.back(); }

 private:
  std::vector<uint64_t> hashes_;
  bool are_integers_ = true;
  bool are_strings_ = true;
};

// Reads the column of the hashes of `count` keys and removes it from `bytes`. Returns false if it
// is malformed or its hashes are not ascending.
bool ReadHashColumn(std::string_view* bytes, const ColumnReader& keys, size_t count,
                    std::vector<uint64_t>* hashes);

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STORE_HASH_COLUMN_H_
