#ifndef HEADWAY_ENGINE_STATE_KEY_CODEC_H_
#define HEADWAY_ENGINE_STATE_KEY_CODEC_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "comm/codec/codec.h"
#include "comm/codec/stable_key.h"

namespace headway::internal {

// Encodes and decodes the keys of snapshots. Equal keys have the same bytes. Reuses the memory of
// one key, so it allocates nothing for each. Not thread safe.
template <class K>
class KeyCodec {
 public:
  // `key` is a K, or a std::string_view if K is std::string.
  template <class View>
  void Encode(const View& key, Encoder& encoder) {
    if constexpr (std::is_same_v<K, std::string>) {
      Codec<std::string_view>::Encode(key, encoder);
    } else {
      key_ = key;
      MakeCanonical(key_);
      Codec<K>::Encode(key_, encoder);
    }
  }

  // Returns null if the bytes are malformed. The key is valid until the next call.
  const K* Decode(std::span<const std::byte> bytes) {
    return DecodeFromBytes(bytes, &key_) ? &key_ : nullptr;
  }

 private:
  K key_{};
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STATE_KEY_CODEC_H_
