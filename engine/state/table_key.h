#ifndef HEADWAY_ENGINE_STATE_TABLE_KEY_H_
#define HEADWAY_ENGINE_STATE_TABLE_KEY_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "check.h"
#include "comm/codec/stable_hash.h"
#include "comm/codec/stable_key.h"
#include "engine/batch/batch_string.h"

// How a FlatTable keeps keys of type K.
//   View                     the type by which functions receive a key
//   Lookup                   the part of a comparison that needs the key alone; it has a member
//                            `hash`, whose low bits select the slot
//   Prepare(key)             the Lookup of a key
//   Equals(stored, lookup, key), Get(stored)
//   SurelyEquals(stored, lookup)
//                            Equals without the key; false where the lookup is not enough
//   HashOf(stored)           the hash, or at least its low 32 bits
//   Construct(stored, lookup, key), Destroy(stored)
//                            make a key in raw memory, and destroy it
//   Relocate(from, to)       moves a key into raw memory; `from` is raw memory afterwards

namespace headway::internal {

// Any other type: a part of the hash beside the key.
template <class K>
struct TableKey {
  using View = const K&;
  struct Lookup {
    uint64_t hash;
  };
  struct Stored {
    uint32_t hash;
    alignas(K) std::byte bytes[sizeof(K)];
  };

  static Lookup Prepare(const K& key) { return {StableHash(key)}; }
  static bool Equals(const Stored& stored, const Lookup& lookup, const K& key) {
    return stored.hash == static_cast<uint32_t>(lookup.hash) && KeyEquals<K>(Get(stored), key);
  }
  static bool SurelyEquals(const Stored&, const Lookup&) { return false; }
  static uint64_t HashOf(const Stored& stored) { return stored.hash; }
  static const K& Get(const Stored& stored) {
    return *std::launder(reinterpret_cast<const K*>(stored.bytes));
  }
  static void Construct(Stored& stored, const Lookup& lookup, const K& key) {
    if (!KeyEquals<K>(key, key)) [[unlikely]] {
      ThrowUnequalKey();
    }
    new (stored.bytes) K(key);
    stored.hash = static_cast<uint32_t>(lookup.hash);
  }
  static void Destroy(Stored& stored) { Mutable(stored).~K(); }
  static void Relocate(Stored& from, Stored& to) {
    new (to.bytes) K(std::move(Mutable(from)));
    to.hash = from.hash;
    Destroy(from);
  }

 private:
  static K& Mutable(Stored& stored) { return *std::launder(reinterpret_cast<K*>(stored.bytes)); }
};

// Numbers: the number alone, so that four slots with a number each fill a cache line.
template <class K>
  requires std::is_integral_v<K>
struct TableKey<K> {
  using View = const K&;
  struct Lookup {
    uint64_t hash;
  };
  struct Stored {
    K key;
  };

  static Lookup Prepare(K key) { return {StableHash(key)}; }
  static bool Equals(const Stored& stored, const Lookup&, K key) { return stored.key == key; }
  static bool SurelyEquals(const Stored&, const Lookup&) { return false; }
  static uint64_t HashOf(const Stored& stored) { return StableHash(stored.key); }
  static const K& Get(const Stored& stored) { return stored.key; }
  static void Construct(Stored& stored, const Lookup&, K key) { stored.key = key; }
  static void Destroy(Stored&) {}
  static void Relocate(Stored& from, Stored& to) { to = from; }
};

// Strings. Up to kShortMax characters are in the slot, and a comparison is one of two words. Longer
// strings are on the heap; the slot has their length and a part of their hash. Source: the strings
// of Umbra (Neumann and Freitag, CIDR 2020).
template <>
struct TableKey<std::string> {
  using View = std::string_view;
  static constexpr size_t kShortMax = 15;

  // The last byte is the length plus 1 (so, numbers as text hash well), or kLong.
  struct Stored {
    uint64_t low;   // characters; of a long string, its address
    uint64_t high;  // characters; of a long string, 4 bytes of length and 3 bytes of hash
  };
  struct Lookup {
    uint64_t hash;
    uint64_t low;  // 0 for a long string
    uint64_t high;
  };
  static constexpr uint64_t kLong = 0xff;

  static Lookup Prepare(std::string_view key) {
    const size_t size = key.size();
    if (size > kShortMax) return PrepareLong(key);
    if constexpr (!kLittle) return PrepareAnywhere(key);
    const char* data = key.data();
    uint64_t low = 0;
    uint64_t high = 0;
    if (size >= 8) {
      low = Read<uint64_t>(data);
      high = Read<uint64_t>(data + size - 8) >> 8 >> (8 * (15 - size));
    } else if (size >= 4) {
      low = Read<uint32_t>(data) | Read<uint32_t>(data + size - 4) << (8 * (size - 4));
    } else if (size > 0) {
      for (size_t at : {size_t{0}, size / 2, size - 1}) {
        low |= uint64_t{static_cast<unsigned char>(data[at])} << (8 * at);
      }
    }
    return PrepareShort(low, high, size);
  }
  static Lookup Prepare(BatchString key) {
    static_assert(BatchString::kReadableBeyond >= 16);
    const size_t size = key.size();
    if (size > kShortMax) [[unlikely]] {
      return PrepareLong(key);
    }
    if constexpr (!kLittle) return PrepareAnywhere(key);
    const Mask& mask = kMasks.of_size[size];
    return PrepareShort(Read<uint64_t>(key.data()) & mask.low,
                        Read<uint64_t>(key.data() + 8) & mask.high, size);
  }
  static bool Equals(const Stored& stored, const Lookup& lookup, std::string_view key) {
    if (stored.high != lookup.high) return false;
    if (stored.low == lookup.low) return true;
    if (!IsLong(lookup.high)) return false;
    return std::memcmp(Address(stored), key.data(), key.size()) == 0;
  }
  // A long string has an address in the place of the lookup's 0.
  static bool SurelyEquals(const Stored& stored, const Lookup& lookup) {
    return stored.high == lookup.high && stored.low == lookup.low;
  }
  static uint64_t HashOf(const Stored& stored) {
    return IsLong(stored.high) ? StableHash(Get(stored)) : HashShort(stored.low, stored.high);
  }
  static std::string_view Get(const Stored& stored) {
    if (IsLong(stored.high)) return {Address(stored), LongSize(stored)};
    return {reinterpret_cast<const char*>(&stored), Last(stored.high) - 1};
  }
  static void Construct(Stored& stored, const Lookup& lookup, std::string_view key) {
    stored.low = lookup.low;
    if (IsLong(lookup.high)) {
      char* copy = std::allocator<char>().allocate(key.size());
      std::memcpy(copy, key.data(), key.size());
      stored.low = reinterpret_cast<uintptr_t>(copy);
    }
    stored.high = lookup.high;
  }
  static void Destroy(Stored& stored) {
    if (!IsLong(stored.high)) return;
    std::allocator<char>().deallocate(Address(stored), LongSize(stored));
  }
  static void Relocate(Stored& from, Stored& to) { to = from; }

 private:
  struct Mask {
    uint64_t low;
    uint64_t high;
  };
  struct Masks {
    Mask of_size[kShortMax + 1];
    constexpr Masks() : of_size() {
      for (size_t size = 0; size <= kShortMax; ++size) {
        of_size[size] = {LowBytes(size < 8 ? size : 8), LowBytes(size < 8 ? 0 : size - 8)};
      }
    }
    static constexpr uint64_t LowBytes(size_t count) {
      return count == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * count)) - 1;
    }
  };
  static const Masks kMasks;

  template <class Word>
  static uint64_t Read(const char* data) {
    Word word;
    std::memcpy(&word, data, sizeof(word));
    return word;
  }
  // The byte of `high` that is last in memory.
  static constexpr bool kLittle = std::endian::native == std::endian::little;
  static constexpr int kLastShift = kLittle ? 56 : 0;
  static constexpr int kHashShift = kLittle ? 32 : 8;
  static constexpr int kLengthShift = kLittle ? 0 : 32;
  static size_t Last(uint64_t high) { return static_cast<size_t>(high >> kLastShift & 0xff); }
  static bool IsLong(uint64_t high) { return Last(high) == kLong; }
  static uint32_t LongSize(const Stored& stored) {
    return static_cast<uint32_t>(stored.high >> kLengthShift);
  }
  static char* Address(const Stored& stored) { return reinterpret_cast<char*>(stored.low); }

  static uint64_t HashShort(uint64_t low, uint64_t high) {
    return MultiplyFold(low ^ kHashSecret1, high ^ kHashSecret2);
  }
  static Lookup PrepareShort(uint64_t low, uint64_t high, size_t size) {
    high |= uint64_t{size + 1} << kLastShift;
    return {HashShort(low, high), low, high};
  }
  // On a machine of any byte order.
  static Lookup PrepareAnywhere(std::string_view key) {
    char bytes[16] = {};
    std::memcpy(bytes, key.data(), key.size());
    return PrepareShort(Read<uint64_t>(bytes), Read<uint64_t>(bytes + 8), key.size());
  }
  static Lookup PrepareLong(std::string_view key) {
    HEADWAY_CHECK(key.size() <= UINT32_MAX);
    const uint64_t hash = StableHash(key);
    return {
        hash, 0,
        kLong << kLastShift | (hash >> 40) << kHashShift | uint64_t{key.size()} << kLengthShift};
  }
};

inline constexpr TableKey<std::string>::Masks TableKey<std::string>::kMasks;

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_TABLE_KEY_H_
