#ifndef HEADWAY_OPERATORS_FOLD_PER_EPOCH_H_
#define HEADWAY_OPERATORS_FOLD_PER_EPOCH_H_

#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/state/flat_table.h"
#include "engine/step/define_step.h"
#include "engine/step/kept_watermarks.h"
#include "engine/step/operators.h"
#include "operators/keyed_folds.h"

namespace headway {

namespace internal {

// The state of keys at the times that are not complete: a table for each, with the watermark behind
// which its first record came. It needs no snapshots. When an epoch is committed its table is gone,
// and those of later epochs are made again from the records that the sources repeat.
template <class K, class S, class T>
class TimeTables {
 public:
  using Table = FlatTable<K, S>;

  // The table of the time of a batch. The notificator learns of a time that is new.
  Table& At(const CapabilityRef<T>& time, EventTime watermark, Notificator<T>& notificator) {
    auto [entry, is_new] = tables_.try_emplace(time.time());
    if (is_new) {
      notificator.NotifyAt(time.Retain());
      entry->second.watermark = watermark;
      kept_.Add(watermark);
    }
    return entry->second.table;
  }
  Table Take(const T& time) {
    TimeTable taken = std::move(tables_.extract(time).mapped());
    kept_.Remove(taken.watermark);
    return std::move(taken.table);
  }

  // The limit of the watermark: the results are sent later.
  EventTime WatermarkLimit() const { return kept_.Limit(); }

 private:
  struct Earlier {
    bool operator()(const T& a, const T& b) const { return TimestampTraits<T>::TotalLess(a, b); }
  };
  struct TimeTable {
    Table table;
    EventTime watermark = kNoWatermark;
  };
  std::map<T, TimeTable, Earlier> tables_;
  KeptWatermarks kept_;
};

// Combines the records of each key and epoch with `fold`, and emits (key, result) when the epoch is
// complete.
template <class D, class T, class KeyFn, class Fold>
auto EmitPerEpoch(const Stream<D, T>& stream, std::string_view id, KeyFn key, Fold fold) {
  using S = typename Fold::State;
  using R = decltype(fold.Result(std::declval<S>()));
  using Out = KeyAnd<KeyFn, D, R>;
  using Tables = TimeTables<KeyOf<KeyFn, D>, S, T>;
  pact::Exchange<KeyFn> by_key{key};
  return stream |
         UnaryNotify<Out>(
             std::string(id), std::move(by_key),
             [key = std::move(key), fold = std::move(fold)](Capability<T>, Notificator<T>&) {
               return [key, fold, tables = Tables()](NodeInput<D, T>& in, NodeOutput<Out, T>& out,
                                                     Notificator<T>& notificator) mutable {
                 in.ForEach([&](const CapabilityRef<T>& time, Batch<D>& batch) {
                   AddEach<D>(tables.At(time, in.watermark(), notificator), batch, key, fold,
                              [](size_t, S&) {});
                   in.LimitWatermark(time.time(), tables.WatermarkLimit());
                 });
                 while (const auto time = notificator.Next(in.frontier())) {
                   auto session = out.SessionAt(*time);
                   typename Tables::Table table = tables.Take(time->time());
                   table.ForEach([&](typename Tables::Table::View k, S& state) {
                     session.Give(std::pair<decltype(k), R>(k, fold.Result(std::move(state))));
                   });
                   in.LimitWatermark(time->time(), tables.WatermarkLimit());
                 }
               };
             });
}

}  // namespace internal

// Folds the values of each key and epoch: Stream<std::pair<K, V>> becomes Stream<std::pair<K, S>>.
// The state of a key begins in each epoch as a copy of `start`; f(S& state, value) adds a value.
// (key, state) is emitted in the epoch, when that is complete. In a nested scope the same is done
// for each time.
//
//   stream | FoldPerEpoch("total", 0.0, [](double& total, double price) { total += price; })
//
// The step exchanges its input by key. It keeps one table for each epoch that is not complete, and
// frees it with the results; snapshots contain nothing of it. The watermark waits for the results
// of the records before it. The end of the input and a graceful stop complete all epochs. An
// exception of `f` ends the run with an error that names the step. A record costs a lookup of its
// key.
template <class S, class F>
auto FoldPerEpoch(std::string step_id, S start, F f) {
  return DefineStep(
      std::move(step_id), std::move(start), std::move(f),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, S first, F fold) {
        HEADWAY_REQUIRE_PAIRS("FoldPerEpoch", D);
        static_assert(std::is_default_constructible_v<S> && std::is_copy_assignable_v<S>,
                      "FoldPerEpoch: the state must be default-constructible and copyable");
        static_assert(std::is_invocable_v<F&, S&, typename internal::PairTypes<D>::TakenValue>,
                      "FoldPerEpoch: the function must take (State& state, value), where State is "
                      "the type of the second argument of FoldPerEpoch");
        return internal::EmitPerEpoch(
            stream, id, FirstOfPair(),
            internal::FoldValues<S, F>(std::move(first), std::move(fold)));
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_FOLD_PER_EPOCH_H_
