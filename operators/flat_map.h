#ifndef HEADWAY_OPERATORS_FLAT_MAP_H_
#define HEADWAY_OPERATORS_FLAT_MAP_H_

#include <cstddef>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/step/define_step.h"
#include "engine/step/transform_resumable.h"

namespace headway {

namespace internal {

// The position of a FlatMap in a batch: the number of a record, and while the record is in work,
// the range that it became and the position in that range.
template <class D, class Range>
struct FlatMapPosition {
  // A record of columns is put together when it is taken; others stay in the batch.
  static constexpr bool kKeepsRecord = !std::is_reference_v<TakeType<D>>;
  using KeptRecord =
      std::conditional_t<kKeepsRecord, std::remove_cvref_t<TakeType<D>>, std::monostate>;

  size_t next = 0;
  std::optional<KeptRecord> record;  // the range may refer to it
  std::optional<Range> results;
  std::optional<std::ranges::iterator_t<Range>> at;
};

template <class D, class Range, class R, class T, class F>
bool FlatMapTo(F& f, Batch<D>& batch, FlatMapPosition<D, Range>& position,
               ResumableOutput<R, T>& out) {
  while (position.next < batch.size()) {
    if (!position.at.has_value()) {
      if constexpr (FlatMapPosition<D, Range>::kKeepsRecord) {
        position.results.emplace(f(std::move(position.record.emplace(batch.Take(position.next)))));
      } else {
        position.results.emplace(f(batch.Take(position.next)));
      }
      position.at.emplace(std::ranges::begin(*position.results));
    }
    // In a variable while it moves, so that the compiler may keep it in registers.
    std::ranges::iterator_t<Range> at = *std::move(position.at);
    const std::ranges::sentinel_t<Range> end = std::ranges::end(*position.results);
    while (at != end) {
      if constexpr (std::is_same_v<std::ranges::range_value_t<Range>, BatchString>) {
        out.GiveShort(at, end);
        if (at == end) break;
      }
      if constexpr (std::is_copy_constructible_v<R>) {
        out.Give(*at);
      } else {
        out.Give(std::ranges::iter_move(at));
      }
      ++at;
      if (!out.WantsMore()) {
        position.at.emplace(std::move(at));
        return false;
      }
    }
    position.at.reset();
    position.results.reset();
    ++position.next;
  }
  return true;
}

}  // namespace internal

// Replaces each record by the elements of the range f(record): Stream<D> becomes Stream<R>, where R
// is the type of the elements; a std::string_view becomes a std::string. A range is a container, a
// view or a generator. It may refer to the record if `f` takes that by reference. It may be in use
// when `f` is called for another record, so it must not refer to state that `f` changes. An
// exception of `f` or of the range ends the run with an error that names the step.
template <class F>
auto FlatMap(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F map) {
        static_assert(std::is_invocable_v<F&, TakeType<D>>,
                      "FlatMap: the function must take one record of the stream, with "
                      "std::string_view for its strings");
        using Range = std::remove_cvref_t<std::invoke_result_t<F&, TakeType<D>>>;
        static_assert(
            std::ranges::input_range<Range>,
            "FlatMap: the function must return a range: a container, a view or a generator");
        using R = RecordOfT<std::ranges::range_reference_t<Range>>;
        using Position = internal::FlatMapPosition<D, Range>;
        return TransformResumable<R, Position>(
            stream, id,
            [map = std::move(map)](Batch<D>& batch, Position& position,
                                   ResumableOutput<R, T>& out) mutable {
              return internal::FlatMapTo(map, batch, position, out);
            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FLAT_MAP_H_
