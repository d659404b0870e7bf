#ifndef HEADWAY_COMM_CODEC_BUILTIN_H_
#define HEADWAY_COMM_CODEC_BUILTIN_H_

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "comm/codec/buffer.h"
#include "comm/codec/fields.h"
#include "comm/codec/kind.h"
#include "comm/codec/shapes.h"

// The codecs of Headway: a BuiltinCodec for each kind of type. codec.h describes the format.
// Include codec.h and not this file.

namespace headway {

namespace internal {

// Of codec_check.h.
template <class Record, class... Ts>
constexpr auto CheckCodecsOf(TypeList<Ts...> types);

// Fails to compile if a member has no codec.
template <class T, class Fields>
void RequireCodecs(Fields) {
  static_assert(CheckCodecsOf<T>(Fields()));
}

template <class T>
concept CanEncode = requires(const T& value, Encoder& encoder) {
  Codec<std::remove_const_t<T>>::Encode(value, encoder);
};

template <class T>
concept CanDecode =
    std::default_initializable<T> && !std::is_const_v<T> && requires(Decoder& decoder, T* value) {
      { Codec<T>::Decode(decoder, value) } -> std::same_as<bool>;
    };

template <class T, CodecKind kind>
struct BuiltinCodec {};

template <class T>
struct BuiltinCodec<T, CodecKind::kBitwise> {
  static constexpr bool kBitwise = true;

  static void Encode(const T& value, Encoder& encoder) { encoder.Append(&value, sizeof(T)); }

  static bool Decode(Decoder& decoder, T* value) {
    return decoder.Read(static_cast<void*>(value), sizeof(T));
  }
};

template <class T>
struct BuiltinCodec<T, CodecKind::kBool> {
  static void Encode(const T& value, Encoder& encoder) {
    encoder.AppendByte(static_cast<bool>(value) ? 1 : 0);
  }

  static bool Decode(Decoder& decoder, T* value) {
    uint8_t byte = 0;
    if (!decoder.ReadByte(&byte) || byte > 1) return false;
    *value = static_cast<T>(byte == 1);
    return true;
  }
};

// One byte, since every value takes at least one: see Decoder::ReadLength.
template <class T>
struct BuiltinCodec<T, CodecKind::kEmpty> {
  static void Encode(const T&, Encoder& encoder) { encoder.AppendByte(0); }

  static bool Decode(Decoder& decoder, T*) {
    uint8_t byte = 0;
    return decoder.ReadByte(&byte) && byte == 0;
  }
};

template <class T>
struct BuiltinCodec<T, CodecKind::kString> {
  using Char = typename T::value_type;

  static void Encode(const T& value, Encoder& encoder)
    requires Bitwise<Char>
  {
    encoder.AppendLength(value.size());
    encoder.Append(value.data(), value.size() * sizeof(Char));
  }

  static bool Decode(Decoder& decoder, T* value)
    requires Bitwise<Char> && requires { value->resize(size_t{}); }
  {
    size_t length = 0;
    if (!decoder.ReadLength(&length) || length > decoder.remaining() / sizeof(Char)) return false;
    value->resize(length);
    return decoder.Read(value->data(), length * sizeof(Char));
  }
};

template <class T>
struct BuiltinCodec<T, CodecKind::kArray> {
  using Element = std::remove_cvref_t<decltype(*std::begin(std::declval<T&>()))>;

  static void Encode(const T& value, Encoder& encoder)
    requires CanEncode<Element>
  {
    for (const Element& element : value) Codec<Element>::Encode(element, encoder);
  }

  static bool Decode(Decoder& decoder, T* value)
    requires CanDecode<Element>
  {
    for (Element& element : *value) {
      if (!Codec<Element>::Decode(decoder, &element)) return false;
    }
    return true;
  }
};

template <class T, class Indices = std::make_index_sequence<std::tuple_size<T>::value>>
struct TupleCodec;
template <class T, size_t... indices>
struct TupleCodec<T, std::index_sequence<indices...>> {
  template <size_t index>
  using Element = std::tuple_element_t<index, T>;

  static void Encode(const T& value, Encoder& encoder)
    requires(CanEncode<Element<indices>> && ...)
  {
    using std::get;
    (Codec<std::remove_const_t<Element<indices>>>::Encode(get<indices>(value), encoder), ...);
  }

  static bool Decode(Decoder& decoder, T* value)
    requires(CanDecode<Element<indices>> && ...)
  {
    using std::get;
    return (Codec<Element<indices>>::Decode(decoder, &get<indices>(*value)) && ...);
  }
};
template <class T>
struct BuiltinCodec<T, CodecKind::kTuple> : TupleCodec<T> {};

template <class T>
struct BuiltinCodec<T, CodecKind::kOptional> {
  using Value = typename T::value_type;

  static void Encode(const T& value, Encoder& encoder)
    requires CanEncode<Value>
  {
    encoder.AppendByte(value.has_value() ? 1 : 0);
    if (value.has_value()) Codec<Value>::Encode(*value, encoder);
  }

  static bool Decode(Decoder& decoder, T* value)
    requires CanDecode<Value>
  {
    uint8_t has_value = 0;
    if (!decoder.ReadByte(&has_value) || has_value > 1) return false;
    value->reset();
    return has_value == 0 || Codec<Value>::Decode(decoder, &value->emplace());
  }
};

template <class T, class Indices>
struct VariantCodec;
template <template <class...> class Variant, class... Ts, size_t... indices>
struct VariantCodec<Variant<Ts...>, std::index_sequence<indices...>> {
  static void Encode(const Variant<Ts...>& value, Encoder& encoder)
    requires(CanEncode<Ts> && ...)
  {
    // A variant that an exception left without a value gets an index that Decode refuses.
    encoder.AppendLength(std::min(value.index(), sizeof...(Ts)));
    ((value.index() == indices ? Codec<Ts>::Encode(*get_if<indices>(&value), encoder) : void()),
     ...);
  }

  static bool Decode(Decoder& decoder, Variant<Ts...>* value)
    requires(CanDecode<Ts> && ...)
  {
    uint64_t index = 0;
    if (!decoder.ReadNumber(&index)) return false;
    return ((index == indices && Codec<Ts>::Decode(decoder, &value->template emplace<indices>())) ||
            ...);
  }
};
template <template <class...> class Variant, class... Ts>
struct BuiltinCodec<Variant<Ts...>, CodecKind::kVariant>
    : VariantCodec<Variant<Ts...>, std::index_sequence_for<Ts...>> {};

// The number of elements to reserve room for. Elements may take far more memory than their
// encoding, by a factor that depends on the type. So a length alone may claim at most 64 KiB, or
// the size of the remaining bytes.
template <class Element>
size_t CountToReserve(size_t length, const Decoder& decoder) {
  constexpr size_t kBytes = 64 << 10;
  return std::min(length, std::max(decoder.remaining(), kBytes) / sizeof(Element));
}

template <class T>
struct BuiltinCodec<T, CodecKind::kSequence> {
  using Element = typename T::value_type;
  static constexpr bool kCopiedAtOnce = Bitwise<Element> && requires(T& value) {
    value.resize(size_t{});
    { value.data() } -> std::same_as<Element*>;
  };

  static void Encode(const T& value, Encoder& encoder)
    requires CanEncode<Element>
  {
    encoder.AppendLength(value.size());
    if constexpr (kCopiedAtOnce) {
      encoder.Append(value.data(), value.size() * sizeof(Element));
    } else {
      for (const Element& element : value) Codec<Element>::Encode(element, encoder);
    }
  }

  static bool Decode(Decoder& decoder, T* value)
    requires CanDecode<Element>
  {
    size_t length = 0;
    if (!decoder.ReadLength(&length)) return false;
    value->clear();
    if constexpr (kCopiedAtOnce) {
      if (length > decoder.remaining() / sizeof(Element)) return false;
      value->resize(length);
      return decoder.Read(static_cast<void*>(value->data()), length * sizeof(Element));
    } else {
      if constexpr (requires { value->reserve(length); }) {
        value->reserve(CountToReserve<Element>(length, decoder));
      }
      if (!decoder.EnterContainer()) return false;
      for (size_t i = 0; i < length; ++i) {
        if (!DecodeElement(decoder, value)) return false;
      }
      decoder.LeaveContainer();
      return true;
    }
  }

 private:
  static bool DecodeElement(Decoder& decoder, T* value) {
    if constexpr (std::is_same_v<decltype(value->emplace_back()), Element&>) {
      return Codec<Element>::Decode(decoder, &value->emplace_back());
    } else {  // std::vector<bool> has no references to elements
      Element element{};
      if (!Codec<Element>::Decode(decoder, &element)) return false;
      value->push_back(std::move(element));
      return true;
    }
  }
};

// Reads the length, and then the elements with DecodeElement. It inserts at the end: the elements
// of an ordered container arrive in order.
template <class T, class DecodeElement>
bool DecodeAssociative(Decoder& decoder, T* value, DecodeElement decode_element) {
  size_t length = 0;
  if (!decoder.ReadLength(&length) || !decoder.EnterContainer()) return false;
  value->clear();
  if constexpr (requires { value->reserve(length); }) {
    value->reserve(CountToReserve<typename T::value_type>(length, decoder));
  }
  for (size_t i = 0; i < length; ++i) {
    if (!decode_element()) return false;
  }
  decoder.LeaveContainer();
  return value->size() == length;  // a key twice is malformed
}

template <class T>
struct BuiltinCodec<T, CodecKind::kMap> {
  using Key = typename T::key_type;
  using Mapped = typename T::mapped_type;

  static void Encode(const T& value, Encoder& encoder)
    requires CanEncode<Key> && CanEncode<Mapped>
  {
    encoder.AppendLength(value.size());
    for (const auto& [key, mapped] : value) {
      Codec<Key>::Encode(key, encoder);
      Codec<Mapped>::Encode(mapped, encoder);
    }
  }

  static bool Decode(Decoder& decoder, T* value)
    requires CanDecode<Key> && CanDecode<Mapped>
  {
    return DecodeAssociative(decoder, value, [&] {
      Key key{};
      Mapped mapped{};
      if (!Codec<Key>::Decode(decoder, &key) || !Codec<Mapped>::Decode(decoder, &mapped)) {
        return false;
      }
      value->emplace_hint(value->end(), std::move(key), std::move(mapped));
      return true;
    });
  }
};

template <class T>
struct BuiltinCodec<T, CodecKind::kSet> {
  using Key = typename T::key_type;

  static void Encode(const T& value, Encoder& encoder)
    requires CanEncode<Key>
  {
    encoder.AppendLength(value.size());
    for (const Key& key : value) Codec<Key>::Encode(key, encoder);
  }

  static bool Decode(Decoder& decoder, T* value)
    requires CanDecode<Key>
  {
    return DecodeAssociative(decoder, value, [&] {
      Key key{};
      if (!Codec<Key>::Decode(decoder, &key)) return false;
      value->emplace_hint(value->end(), std::move(key));
      return true;
    });
  }
};

struct EncodeFields {
  Encoder& encoder;
  template <class... Fields>
  void operator()(const Fields&... fields) const {
    (Codec<Fields>::Encode(fields, encoder), ...);
  }
};

struct DecodeFields {
  Decoder& decoder;
  template <class... Fields>
  bool operator()(Fields&... fields) const {
    return (Codec<Fields>::Decode(decoder, &fields) && ...);
  }
};

// HEADWAY_CODEC_FIELDS promises that the fields have codecs. They are checked when Encode and
// Decode are used, so that a record may contain a container of itself.
template <class T>
struct BuiltinCodec<T, CodecKind::kFields> {
  static void Encode(const T& value, Encoder& encoder) {
    RequireCodecs<T>(FieldTypes<T>());
    VisitFields(value, EncodeFields{encoder});
  }

  static bool Decode(Decoder& decoder, T* value) {
    RequireCodecs<T>(FieldTypes<T>());
    return VisitFields(*value, DecodeFields{decoder});
  }
};

template <class T, class Types>
struct AggregateCodec;
template <class T, class... Fields>
struct AggregateCodec<T, TypeList<Fields...>> {
  static void Encode(const T& value, Encoder& encoder)
    requires(CanEncode<Fields> && ...)
  {
    VisitFields(value, EncodeFields{encoder});
  }

  static bool Decode(Decoder& decoder, T* value)
    requires(CanDecode<Fields> && ...)
  {
    return VisitFields(*value, DecodeFields{decoder});
  }
};
template <class T>
struct BuiltinCodec<T, CodecKind::kAggregate> : AggregateCodec<T, FieldTypes<T>> {};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_COMM_CODEC_BUILTIN_H_
