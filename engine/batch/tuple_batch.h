#ifndef HEADWAY_ENGINE_BATCH_TUPLE_BATCH_H_
#define HEADWAY_ENGINE_BATCH_TUPLE_BATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "comm/codec/codec.h"
#include "comm/local/fabric.h"
#include "engine/batch/batch_string.h"
#include "engine/batch/string_arena.h"

namespace headway {

namespace internal {

template <class T>
inline constexpr bool kIsString = std::is_same_v<T, std::string>;
// Whether a batch can hold a T that is not a string. Elements are read in place where they arrive,
// so every byte pattern has to be a value; the bytes of a bool are validated.
template <class T>
inline constexpr bool kIsPlainElement =
    (BitwiseEncodable<T> || std::is_same_v<T, bool>) && alignof(T) <= 8;
template <class T>
using ElementView = std::conditional_t<kIsString<T>, BatchString, T>;

// The elements of a tuple that are not strings, as plain memory. std::tuple is not trivially
// copyable.
template <class... Ts>
struct PlainElements {};
template <class T, class... Rest>
struct PlainElements<T, Rest...> {
  std::conditional_t<std::is_same_v<T, bool>, uint8_t, T> first;
  [[no_unique_address]] PlainElements<Rest...> rest;
};
template <class... Rest>
struct PlainElements<std::string, Rest...> {
  [[no_unique_address]] PlainElements<Rest...> rest;
};

// Element `i`, counted among all elements. REQUIRES: it is not a string.
template <size_t i, class Elements>
constexpr auto& PlainElementAt(Elements& elements) {
  if constexpr (i == 0) {
    return elements.first;
  } else {
    return PlainElementAt<i - 1>(elements.rest);
  }
}

// The columnar form of a pair or a tuple.
template <class D>
struct TupleShape {
  static constexpr bool kIsColumnar = false;
};
template <template <class...> class Tuple, class... Ts>
struct TupleShapeOf {
  static constexpr size_t kStringCount = (size_t{kIsString<Ts>} + ... + 0);
  static constexpr bool kIsColumnar = kStringCount > 0 &&
                                      ((kIsString<Ts> || kIsPlainElement<Ts>) && ...);
  static constexpr bool kHasBool = (std::is_same_v<Ts, bool> || ...);
  using View = Tuple<ElementView<Ts>...>;
  using Plain = PlainElements<Ts...>;
};
template <class A, class B>
struct TupleShape<std::pair<A, B>> : TupleShapeOf<std::pair, A, B> {};
template <class... Ts>
struct TupleShape<std::tuple<Ts...>> : TupleShapeOf<std::tuple, Ts...> {};

template <class D>
struct TupleRow {
  std::array<uint32_t, TupleShape<D>::kStringCount> ends;
  [[no_unique_address]] typename TupleShape<D>::Plain plain;
};

}  // namespace internal

// A pair or a tuple with at least one string whose other elements are plain values: trivially
// copyable, and encoded as their bytes. Streams of such records carry a TupleBatch.
template <class D>
concept ColumnarTuple = internal::TupleShape<D>::kIsColumnar;

// A batch of pairs or tuples with strings, in columns: the bytes of all strings, and a row for each
// record with its other elements. Reading yields a `View` by value: the same pair or tuple with a
// BatchString in place of each string. Views are valid as long as the batch; copy them to keep them
// longer.
template <class D>
class TupleBatch : public internal::StringArena<internal::TupleRow<D>> {
  using Row = internal::TupleRow<D>;
  using Arena = internal::StringArena<Row>;
  static constexpr size_t kElements = std::tuple_size_v<D>;
  using Indices = std::make_index_sequence<kElements>;
  template <class R>
  static constexpr bool kHasSameSize =
      requires { requires std::tuple_size<R>::value == kElements; };

 public:
  using Record = D;
  using View = typename internal::TupleShape<D>::View;
  using Arena::Arena;

  // Returns a constant, since changing the view would not change the batch.
  const View operator[](size_t i) const {
    return ViewOf(this->RowAt(i), this->StartOf(i), Indices());
  }
  View Take(size_t i) { return (*this)[i]; }

  // Accepts a pair or tuple of as many elements whose strings convert to std::string_view, and
  // everything that converts to D.
  template <class R>
    requires kHasSameSize<R>
  bool TryAppend(const R& record) {
    return Append(record, Indices());
  }
  bool TryAppend(const D& record) { return Append(record, Indices()); }

  template <class R>
    requires kHasSameSize<R>
  void Allocate(internal::Endpoint& endpoint, const R& record) {
    this->AllocateFor(endpoint, StringBytes(record, Indices()));
  }
  void Allocate(internal::Endpoint& endpoint, const D& record) {
    this->AllocateFor(endpoint, StringBytes(record, Indices()));
  }

  static bool CheckParts(const internal::Block& block) {
    if (!Arena::CheckParts(block)) return false;
    if constexpr (internal::TupleShape<D>::kHasBool) {
      const auto* rows = reinterpret_cast<const Row*>(block.payload() + Arena::RowsEnd(block));
      for (uint32_t i = 0; i < block.record_count; ++i) {
        if (!BoolsAreValid(rows[-static_cast<ptrdiff_t>(i) - 1], Indices())) return false;
      }
    }
    return true;
  }

  internal::BatchIterator<TupleBatch> begin() const { return {this, 0}; }
  internal::BatchIterator<TupleBatch> end() const { return {this, this->size_}; }

 private:
  template <size_t i>
  using Element = std::tuple_element_t<i, D>;
  template <size_t i>
  static constexpr bool kIsStringAt = internal::kIsString<Element<i>>;
  // The number of strings before element i.
  template <size_t i>
  static constexpr size_t StringsBefore() {
    return []<size_t... js>(std::index_sequence<js...>) {
      return (size_t{kIsStringAt<js>} + ... + 0);
    }(std::make_index_sequence<i>());
  }

  template <size_t... is>
  View ViewOf(const Row& row, uint32_t start, std::index_sequence<is...>) const {
    return View(ElementOf<is>(row, start)...);
  }
  template <size_t i>
  internal::ElementView<Element<i>> ElementOf(const Row& row, uint32_t start) const {
    if constexpr (kIsStringAt<i>) {
      constexpr size_t kString = StringsBefore<i>();
      if constexpr (kString > 0) start = row.ends[kString - 1];
      return this->StringAt(start, row.ends[kString]);
    } else {
      return static_cast<Element<i>>(internal::PlainElementAt<i>(row.plain));
    }
  }

  template <class R, size_t... is>
  static size_t StringBytes(const R& record, std::index_sequence<is...>) {
    return (BytesOf<is>(std::get<is>(record)) + ...);
  }
  template <size_t i, class U>
  static size_t BytesOf(const U& value) {
    if constexpr (kIsStringAt<i>) return std::string_view(value).size();
    return 0;
  }

  template <class R, size_t... is>
  bool Append(const R& record, std::index_sequence<is...> indices) {
    const uint32_t used = this->used_;
    if (!this->HasRoom(used, StringBytes(record, indices))) [[unlikely]] {
      return false;
    }
    Row row;
    uint32_t end = used;
    (PutElement<is>(std::get<is>(record), &row, &end), ...);
    this->AddRow(row);
    return true;
  }
  template <size_t i, class U>
  void PutElement(const U& value, Row* row, uint32_t* end) {
    if constexpr (kIsStringAt<i>) {
      using String = std::conditional_t<std::is_same_v<U, BatchString>, U, std::string_view>;
      *end = this->Write(*end, String(value));
      row->ends[StringsBefore<i>()] = *end;
    } else {
      internal::PlainElementAt<i>(row->plain) = static_cast<Element<i>>(value);
    }
  }

  template <size_t... is>
  static bool BoolsAreValid(const Row& row, std::index_sequence<is...>) {
    return (BoolIsValid<is>(row) && ...);
  }
  template <size_t i>
  static bool BoolIsValid(const Row& row) {
    if constexpr (std::is_same_v<Element<i>, bool>) {
      return internal::PlainElementAt<i>(row.plain) <= 1;
    }
    return true;
  }
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_BATCH_TUPLE_BATCH_H_
