#ifndef HEADWAY_OPERATORS_WINDOWS_WINDOW_JOIN_H_
#define HEADWAY_OPERATORS_WINDOWS_WINDOW_JOIN_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "engine/step/generator.h"
#include "engine/step/merge_streams.h"
#include "operators/flat_map.h"
#include "operators/join_parts.h"
#include "operators/windows/window_with.h"

namespace headway {

// The rows that a WindowJoin emits for a key and window.
enum class WindowJoinRows : uint8_t {
  kInner,  // those with a value of every stream
  kLeft,   // those with a value of the first stream
  kOuter,  // all
};

// A further stream of a WindowJoin: (key, value) records, and the clock of their values.
template <class D, class T, class Clock>
struct JoinSide {
  JoinSide(const Stream<D, T>& of, Clock of_values) : stream(of), clock(std::move(of_values)) {}

  Stream<D, T> stream;
  Clock clock;
};

// The rows of a WindowJoin, which is a stream, and the late records of each side. Ds are the
// records of the sides.
template <class R, class T, class... Ds>
class WindowJoinStream : public Stream<R, T> {
 public:
  WindowJoinStream(const Stream<R, T>& rows, std::tuple<Stream<Ds, T>...> late)
      : Stream<R, T>(rows), late_(std::move(late)) {}

  // The records of side number `side`, from 0 on, that came when all of their windows were closed.
  // They are in no row.
  template <size_t side>
  const auto& late() const {
    return std::get<side>(late_);
  }

 private:
  std::tuple<Stream<Ds, T>...> late_;
};

namespace internal {

// A value of any side, with its time.
template <class... Vs>
using ValueOfSide = std::pair<EventTime, std::variant<Vs...>>;

// The values of a key in a window, by sides.
template <class... Vs>
struct JoinAggregate {
  using State = std::tuple<std::vector<Vs>...>;

  void Add(State& state, EventTime, ValueOfSide<Vs...> value) const {
    ForEachSide([&]<size_t i>(std::integral_constant<size_t, i>) {
      if (value.second.index() != i) return;
      std::get<i>(state).push_back(std::get<i>(std::move(value.second)));
    });
  }
  void Merge(State& state, const State& other) const {
    ForEachSide([&]<size_t i>(std::integral_constant<size_t, i>) {
      auto& into = std::get<i>(state);
      into.insert(into.end(), std::get<i>(other).begin(), std::get<i>(other).end());
    });
  }
  State Result(const State& state) const { return state; }

 private:
  template <class F>
  static void ForEachSide(F&& f) {
    [&]<size_t... i>(std::index_sequence<i...>) {
      (f(std::integral_constant<size_t, i>()), ...);
    }(std::index_sequence_for<Vs...>());
  }
};

// The rows of a window: each combination of a value of each side. A side that may be missing is a
// std::optional in the row.
template <WindowJoinRows rows, class V0, class... Vs>
struct JoinCombinations {
  static constexpr size_t kSides = 1 + sizeof...(Vs);
  template <class V>
  using Optional = std::conditional_t<rows == WindowJoinRows::kInner, V, std::optional<V>>;
  using Row = std::tuple<std::conditional_t<rows == WindowJoinRows::kOuter, std::optional<V0>, V0>,
                         Optional<Vs>...>;
  using Sides = std::tuple<std::vector<V0>, std::vector<Vs>...>;

  // Emitted one by one under credit. `record` is a key and its window, as a batch gives it.
  template <class Record>
  static Generator<std::pair<decltype(Record::first), Windowed<Row>>> All(Record record) {
    using Emitted = std::pair<decltype(Record::first), Windowed<Row>>;
    const Sides& sides = record.second.value;
    const std::array<size_t, kSides> sizes = std::apply(
        [](const auto&... side) { return std::array<size_t, kSides>{side.size()...}; }, sides);
    const bool has_first = sizes[0] > 0;
    const bool has_all = std::ranges::find(sizes, size_t{0}) == sizes.end();
    if (rows == WindowJoinRows::kInner ? !has_all : rows == WindowJoinRows::kLeft && !has_first) {
      co_return;
    }
    std::array<size_t, kSides> at{};
    for (;;) {
      Emitted row(record.first, {record.second.window, record.second.pane,
                                 RowAt(sides, at, std::make_index_sequence<kSides>())});
      co_yield std::move(row);
      // The last side varies fastest.
      size_t side = kSides;
      while (side > 0 && ++at[side - 1] >= sizes[side - 1]) at[--side] = 0;
      if (side == 0) co_return;
    }
  }

 private:
  template <size_t... i>
  static Row RowAt(const Sides& sides, const std::array<size_t, kSides>& at,
                   std::index_sequence<i...>) {
    return Row(ValueAt<std::tuple_element_t<i, Row>>(std::get<i>(sides), at[i])...);
  }
  template <class InRow, class V>
  static InRow ValueAt(const std::vector<V>& values, size_t at) {
    if constexpr (std::is_same_v<InRow, V>) {
      return values[at];
    } else {
      return values.empty() ? std::nullopt : InRow(values[at]);
    }
  }
};

// The records of side `side` as values of any side, in a stream with the watermark of its clock.
template <size_t side, class R, class D, class T, class Clock>
Stream<R, T> ToSide(const Stream<D, T>& stream, std::string_view id, Clock clock) {
  const Stream<D, T> timed = TimedBy(clock, stream, id);
  const typename Scope<T>::Substeps substeps(stream.scope(), id);
  return Transform<R>(
      timed, "side" + std::to_string(side),
      [clock = std::move(clock)](Batch<D>& batch, TransformOutput<R, T>& out) mutable {
        using Value = typename R::second_type::second_type;
        for (size_t i = 0; i < batch.size(); ++i) {
          EventTime at = 0;
          if constexpr (!kIsSystemClock<Clock>) {
            at = TimeOfValue(clock.time, std::as_const(batch)[i]);
          }
          auto&& record = batch.Take(i);
          out.Give(
              R(std::move(record.first),
                {at, Value(std::in_place_index<side>, ValueOfPair<D>(std::move(record.second)))}));
        }
      });
}

// Divides the late values of all sides into records of each.
template <class... Ds, class D, class T>
std::tuple<Stream<Ds, T>...> LateOfSides(const Stream<D, T>& late) {
  return TransformTo<Ds...>(late, "late", [](Batch<D>& batch, TransformOutput<Ds, T>&... out) {
    for (size_t i = 0; i < batch.size(); ++i) {
      auto&& record = batch.Take(i);
      auto give = [&]<size_t side>(std::integral_constant<size_t, side>, auto& to) {
        using Record = std::tuple_element_t<side, std::tuple<Ds...>>;
        if (record.second.second.index() != side || !to.IsRead()) return;
        to.Give(Record(std::move(record.first), std::get<side>(std::move(record.second.second))));
      };
      [&]<size_t... side>(std::index_sequence<side...>) {
        (give(std::integral_constant<size_t, side>(), out), ...);
      }(std::index_sequence_for<Ds...>());
    }
  });
}

template <WindowJoinRows rows, class D, class T, class Clock, class W, class... Ds, class... Clocks>
auto BuildWindowJoin(const Stream<D, T>& first, std::string_view id, Clock clock, W windows,
                     const WindowOptions& options, std::tuple<JoinSide<Ds, T, Clocks>...> others) {
  static_assert(sizeof...(Ds) > 0, "WindowJoin: give it a JoinSide for each further stream");
  static_assert((KeyValueRecord<D> && ... && KeyValueRecord<Ds>),
                "WindowJoin: the streams must have (key, value) pairs as records; make them with "
                "KeyOn");
  using K = KeyOfPair<D>;
  static_assert((std::is_same_v<K, KeyOfPair<Ds>> && ...),
                "WindowJoin: the keys of all streams must have the same type");
  static_assert(((kIsSystemClock<Clock> == kIsSystemClock<Clocks> && !kIsKeyClock<Clocks>) && ... &&
                 !kIsKeyClock<Clock>),
                "WindowJoin: the clocks of all streams must be EventClocks, or all SystemClocks");
  static_assert(!std::is_same_v<W, CountWindows>,
                "WindowJoin: the windows must be of times; a count has no meaning for several "
                "streams");
  using R = std::pair<K, ValueOfSide<ValueOfPair<D>, ValueOfPair<Ds>...>>;
  std::vector<Stream<R, T>> further;
  [&]<size_t... i>(std::index_sequence<i...>) {
    (further.push_back(
         ToSide<i + 1, R>(std::get<i>(others).stream, id, std::move(std::get<i>(others).clock))),
     ...);
  }(std::index_sequence_for<Ds...>());
  const Stream<R, T> first_side = ToSide<0, R>(first, id, std::move(clock));
  auto merge = [&] {
    const typename Scope<T>::Substeps substeps(first.scope(), id);
    return MergeStreams(first_side, "sides", further);
  };
  auto clock_of_sides = [] {
    if constexpr (kIsSystemClock<Clock>) {
      return SystemClock();
    } else {
      return EventClock([](const auto& value) { return value.first; });
    }
  };
  const auto joined =
      merge() | WindowWith(std::string(id), clock_of_sides(), std::move(windows),
                           JoinAggregate<ValueOfPair<D>, ValueOfPair<Ds>...>(), options);
  const typename Scope<T>::Substeps substeps(first.scope(), id);
  using Combinations = JoinCombinations<rows, ValueOfPair<D>, ValueOfPair<Ds>...>;
  using Sides = std::pair<K, Windowed<typename Combinations::Sides>>;
  const auto rows_of_windows =
      joined | FlatMap("rows", [](std::remove_cvref_t<TakeType<Sides>> record) {
        return Combinations::All(std::move(record));
      });
  return WindowJoinStream(rows_of_windows, LateOfSides<D, Ds...>(joined.late()));
}

}  // namespace internal

// Joins streams of (key, value) records by key and window: the values of a key that are in the same
// window meet, each with each.
//
//   clicks | WindowJoin("id", click_clock, TumblingWindows(absl::Minutes(1)),
//                       JoinSide(orders, order_clock))
//
// with a clock of the values of each stream, and any number of further streams. Streams of (K, A)
// and (K, B) become a Stream<std::pair<K, Windowed<std::tuple<A, B>>>>. WindowJoin<rows>(...) says
// which rows it emits; a side that may have no value is a std::optional in the row. With
// overlapping windows a pair of values is in a row of each window that has both.
//
// The step exchanges its inputs by key. It keeps the values of each key and slice until the last
// window that contains them closes. Windows close when the least watermark of all streams passes
// their end, and at the end of the input; a graceful stop keeps them. Their rows are made one by
// one, under credit. The records of a side that come when all of their windows are closed go to
// late<side>() of the result. A pane with WindowOptions, which stand before the sides, has all rows
// of its key. The order of the rows of a window is arbitrary. An exception of a time function ends
// the run with an error that names the step. A record costs a copy of its value, and a lookup. The
// windows are the step `<step id>`, and the rest of it `<step id>.side0`, `.side1`, `.sides`,
// `.rows` and `.late`.
template <WindowJoinRows rows = WindowJoinRows::kInner, class Clock, class W, class T, class... Ds,
          class... Clocks>
auto WindowJoin(std::string step_id, Clock clock, W windows, WindowOptions options,
                JoinSide<Ds, T, Clocks>... others) {
  return DefineStep(
      std::move(step_id), std::move(clock), std::move(windows), options,
      std::tuple<JoinSide<Ds, T, Clocks>...>(std::move(others)...),
      []<class D>(const Stream<D, T>& stream, std::string_view id, Clock of_values, W w,
                  const WindowOptions& with, std::tuple<JoinSide<Ds, T, Clocks>...> sides) {
        return internal::BuildWindowJoin<rows>(stream, id, std::move(of_values), std::move(w), with,
                                               std::move(sides));
      });
}
template <WindowJoinRows rows = WindowJoinRows::kInner, class Clock, class W, class T, class... Ds,
          class... Clocks>
auto WindowJoin(std::string step_id, Clock clock, W windows, JoinSide<Ds, T, Clocks>... others) {
  return WindowJoin<rows>(std::move(step_id), std::move(clock), std::move(windows), WindowOptions(),
                          std::move(others)...);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_WINDOW_JOIN_H_
