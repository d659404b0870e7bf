#ifndef HEADWAY_OPERATORS_STATEFUL_FLAT_MAP_H_
#define HEADWAY_OPERATORS_STATEFUL_FLAT_MAP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform_resumable.h"
#include "operators/keyed_pairs.h"

namespace headway {

namespace internal {

// The position of a StatefulFlatMap in a batch: the number of a record, and while the record is in
// work, the state of its key, the range that it became, and the position in that range.
template <class S, class D, class Range>
struct StatefulFlatMapPosition {
  // A record of columns is put together when it is taken; others stay in the batch.
  using Record = std::conditional_t<std::is_reference_v<TakeType<D>>,
                                    std::add_pointer_t<std::remove_reference_t<TakeType<D>>>,
                                    std::optional<std::remove_cvref_t<TakeType<D>>>>;

  size_t next = 0;
  Record record = {};
  std::optional<S> state;
  bool had_state = false;
  std::optional<Range> results;  // may refer to the record and the state
  std::optional<std::ranges::iterator_t<Range>> at;
};

template <class R, class S, class States, class D, class T, class Range, class F>
bool StatefulFlatMapTo(States& states, F& f, Batch<D>& batch,
                       StatefulFlatMapPosition<S, D, Range>& position, ResumableOutput<R, T>& out) {
  using Key = std::remove_cvref_t<decltype(std::declval<TakeType<D>>().first)>;
  for (; position.next < batch.size(); ++position.next) {
    if (!position.at.has_value()) {
      if constexpr (std::is_reference_v<TakeType<D>>) {
        auto&& taken = batch.Take(position.next);
        position.record = &taken;
      } else {
        position.record.emplace(batch.Take(position.next));
      }
      S* kept = states.Find(position.record->first);
      position.had_state = kept != nullptr;
      position.state.reset();
      if (kept != nullptr) position.state.emplace(std::move(*kept));
      position.results.emplace(f(position.state, std::move(position.record->second)));
      position.at.emplace(std::ranges::begin(*position.results));
    }
    const auto end = std::ranges::end(*position.results);
    for (auto& at = *position.at; at != end;) {
      if constexpr (std::is_copy_constructible_v<R>) {
        out.Give(std::pair<const Key&, std::ranges::range_reference_t<Range>>(
            position.record->first, *at));
      } else {
        out.Give(std::pair<const Key&, std::ranges::range_rvalue_reference_t<Range>>(
            position.record->first, std::ranges::iter_move(at)));
      }
      ++at;
      if (!out.WantsMore()) return false;
    }
    position.at.reset();
    position.results.reset();
    if (position.state.has_value()) {
      states.At(position.record->first) = *std::move(position.state);
    } else if (position.had_state) {
      states.Erase(position.record->first);
    }
  }
  return true;
}

}  // namespace internal

// Maps (key, value) records to any number of records, with a state per key: f(std::optional<S>&
// state, value) returns a range, whose elements r are emitted as (key, r). S is named at the call.
// Stream<std::pair<K, V>> becomes Stream<std::pair<K, R>>.
//
// The range is never materialized: its elements are taken one by one, while there is credit. So it
// may be as long as it likes: a container, a view, or a generator, which is a coroutine that
// returns Generator<R>. The range may refer to `state` and change it until it ends; the next record
// of the key sees the state then. An empty state is forgotten. A coroutine takes the value by
// value.
//
//   StatefulFlatMap<int64_t>("repeat", [](std::optional<int64_t>& seen, int value) {
//     seen = seen.value_or(0) + 1;
//     return std::views::repeat(value, *seen);  // C++23
//   })
//
// The step exchanges its input by key, and keeps a state for each key until it is empty. A part of
// it is the transform `<step id>.emit`. An epoch ends when all ranges of its records have ended, so
// a snapshot contains no range. At the end of the input the states stay, for a run that continues.
// An exception of `f` or of the range ends the run with an error that names the step. A record
// costs two lookups of its key.
template <class S, class F>
auto StatefulFlatMap(std::string step_id, F f) {
  return DefineStep(
      std::move(step_id), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F map) {
        HEADWAY_REQUIRE_PAIRS("StatefulFlatMap", D);
        using Value = typename internal::PairTypes<D>::TakenValue;
        static_assert(internal::KeptState<S>,
                      "StatefulFlatMap: the state must be default-constructible and have a Codec, "
                      "since it is kept as bytes: make it an aggregate of types that have one, "
                      "write HEADWAY_CODEC_FIELDS(Type, members...), or specialize headway::Codec");
        static_assert(std::is_invocable_v<F&, std::optional<S>&, Value&&>,
                      "StatefulFlatMap: the function must take (std::optional<State>&, value)");
        using Range = std::remove_cvref_t<std::invoke_result_t<F&, std::optional<S>&, Value&&>>;
        static_assert(std::ranges::input_range<Range>,
                      "StatefulFlatMap: the function must return a range: a container, a view or a "
                      "generator");
        using K = typename internal::PairTypes<D>::K;
        using R = std::pair<K, RecordOfT<std::ranges::range_reference_t<Range>>>;
        using Position = internal::StatefulFlatMapPosition<S, D, Range>;
        // The node orders the batches. The transform behind it does the work: it can stop.
        struct Progress {
          uint64_t given = 0;
          uint64_t done = 0;
        };
        auto batches = std::make_shared<Progress>();
        KeyedOperator<S, D, T, FirstOfPair> keyed(stream, id, FirstOfPair());
        auto& output = keyed.template AddOutput<D>();
        keyed.OnBatch([&output, batches](const CapabilityRef<T>& time, Batch<D>& batch) {
          if (batch.empty()) return;
          ++batches->given;
          output.SessionAt(time).GiveBatch(std::move(batch));
        });
        keyed.CloseEpochsIf([batches] { return batches->given == batches->done; });
        auto& states = keyed.step().states();
        const Stream<D, T> ordered = keyed.Build(output);
        const typename Scope<T>::Substeps substeps(stream.scope(), id);
        return TransformResumable<R, Position>(
            ordered, "emit",
            [&states, map = std::move(map), batches](Batch<D>& batch, Position& position,
                                                     ResumableOutput<R, T>& out) mutable {
              const bool done = internal::StatefulFlatMapTo(states, map, batch, position, out);
              if (done) ++batches->done;
              return done;
            });
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_STATEFUL_FLAT_MAP_H_
