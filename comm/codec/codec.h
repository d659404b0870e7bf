#ifndef HEADWAY_COMM_CODEC_CODEC_H_
#define HEADWAY_COMM_CODEC_CODEC_H_

#include <cstddef>
#include <span>
#include <vector>

#include "comm/codec/buffer.h"
#include "comm/codec/builtin.h"
#include "comm/codec/codec_check.h"
#include "comm/codec/fields.h"

// The encoding of values as bytes, for records that are exchanged between processes or kept in a
// recovery store.
//
// These types have a codec:
//
//    type                                format (little-endian, unaligned, nothing between fields)
//    bool                                one byte, 0 or 1; anything else is malformed
//    trivially copyable types            their bytes in memory
//    std::string                         length, characters
//    std::pair, std::tuple, std::array   their elements
//    std::optional                       one byte, 0 or 1, and the value if it is 1
//    std::variant                        index, as a length is written; the value
//    std::vector and other sequences     length, elements
//    maps and sets of std and Abseil     length, keys or pairs of key and value; a key twice is
//                                        malformed
//    aggregates of such types            their fields
//    classes with HEADWAY_CODEC_FIELDS   the fields that the line names
//    empty types                         one byte, 0
//
// A length below 128 takes one byte, a longer one continues in further bytes
// (Encoder::AppendLength). The format of a trivially copyable type includes its padding and is that
// of the platform: both ends run the same program. A type that is, or visibly contains, a pointer
// or a view has no codec. A type is written field by field if one of its fields, such as a bool,
// needs a codec of its own. Up to 65 fields of an aggregate are inspected for this, and no members
// of classes. Durations and time points of std::chrono are trivially copyable.
//
// An aggregate needs no code if it has up to 64 fields, and base classes without members at most.
// HEADWAY_CODEC_FIELDS(Type, members...) serves more fields, base classes with members (name their
// members too), classes with private members, and a type that contains a container of itself.
// Otherwise, specialize Codec.

namespace headway {

// The codec of T. A specialization has these two functions:
//
//   // Appends `value`, as one byte or more.
//   static void Encode(const T& value, Encoder& encoder);
//
//   // Reads the output of Encode into `*value`, which was default constructed or used before. The
//   // bytes may come from anywhere: returns false, and leaves `*value` with any value of its type,
//   // if they are malformed. Does not throw.
//   static bool Decode(Decoder& decoder, T* value);
//
// The functions have no state, so any number of threads may call them at once.
template <class T>
struct Codec : internal::BuiltinCodec<T, internal::KindOf<T>()> {};

// T can be exchanged between processes. std::string_view cannot, since nothing would own the
// received characters; but it can be encoded, and received as a std::string.
template <class T>
concept Encodable = internal::CanEncode<T> && internal::CanDecode<T>;

// The encoding of T is its bytes in memory, and all bytes are valid. An array of T can be sent as
// it is, and read in place if it is aligned.
template <class T>
concept BitwiseEncodable = Encodable<T> && internal::Bitwise<T>;

// Fails to compile if T is not Encodable. The first error is one sentence about the part of T that
// lacks a codec; the lines around it name the part, as in Member<2, std::string_view>.
template <class T>
void RequireCodec() {
  static_assert(internal::CheckCodec<T>());
}

// The encoding of one value.
template <class T>
std::vector<std::byte> EncodeToBytes(const T& value) {
  Encoder encoder;
  Codec<T>::Encode(value, encoder);
  return encoder.Take();
}

// Decodes one value, which must take up all of `bytes`. Otherwise, or if they are malformed,
// returns false and leaves `*value` with any value of its type. Keeps no reference to `bytes`.
template <class T>
bool DecodeFromBytes(std::span<const std::byte> bytes, T* value) {
  Decoder decoder(bytes);
  return Codec<T>::Decode(decoder, value) && decoder.remaining() == 0;
}

}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_CODEC_H_
