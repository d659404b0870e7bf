#include "engine/store/hash_column.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "comm/codec/stable_hash.h"
#include "engine/store/column.h"
#include "engine/store/length.h"

namespace headway::internal {
namespace {

// Returns false if the key is no integer of 8 bytes.
bool HashOfInteger(std::string_view key, uint64_t* hash) {
  uint64_t value = 0;
  if (key.size() != sizeof(value)) return false;
  std::memcpy(&value, key.data(), sizeof(value));
  *hash = StableHash(value);
  return true;
}

// Returns false if the key is no encoded string.
bool HashOfString(std::string_view key, uint64_t* hash) {
  uint64_t size = 0;
  if (!ReadLength(&key, &size) || size != key.size()) return false;
  *hash = StableHash(key);
  return true;
}

}  // namespace

void HashColumnWriter::Add(uint64_t hash, std::string_view key) {
  hashes_.push_back(hash);
  uint64_t expected = 0;
  if (are_integers_) are_integers_ = HashOfInteger(key, &expected) && expected == hash;
  if (are_strings_) are_strings_ = HashOfString(key, &expected) && expected == hash;
}

void HashColumnWriter::Finish(std::string& out) {
  if (are_integers_) {
    out.push_back(static_cast<char>(HashRule::kInteger));
  } else if (are_strings_) {
    out.push_back(static_cast<char>(HashRule::kString));
  } else {
    out.push_back(static_cast<char>(HashRule::kStored));
    for (size_t i = hashes_.size() - 1; i > 0; --i) hashes_[i] -= hashes_[i - 1];
    const size_t begin = out.size();
    out.resize(begin + hashes_.size() * sizeof(uint64_t));
    ToPlanes(reinterpret_cast<const char*>(hashes_.data()), hashes_.size(), sizeof(uint64_t),
             out.data() + begin);
  }
  hashes_.clear();
  are_integers_ = true;
  are_strings_ = true;
}

bool ReadHashColumn(std::string_view* bytes, const ColumnReader& keys, size_t count,
                    std::vector<uint64_t>* hashes) {
  if (bytes->empty()) return false;
  const auto rule = static_cast<HashRule>(bytes->front());
  bytes->remove_prefix(1);
  hashes->resize(count);
  if (rule == HashRule::kStored) {
    if (bytes->size() < count * sizeof(uint64_t)) return false;
    FromPlanes(bytes->data(), count, sizeof(uint64_t), reinterpret_cast<char*>(hashes->data()));
    bytes->remove_prefix(count * sizeof(uint64_t));
    uint64_t sum = 0;
    for (uint64_t& hash : *hashes) {
      if (__builtin_add_overflow(sum, hash, &sum)) return false;
      hash = sum;
    }
    return true;
  }
  if (rule != HashRule::kInteger && rule != HashRule::kString) return false;
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    uint64_t& hash = (*hashes)[i];
    if (!(rule == HashRule::kInteger ? HashOfInteger(keys.at(i), &hash)
                                     : HashOfString(keys.at(i), &hash))) {
      return false;
    }
    if (hash < last) return false;
    last = hash;
  }
  return true;
}

}  // namespace headway::internal
