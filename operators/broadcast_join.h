#ifndef HEADWAY_OPERATORS_BROADCAST_JOIN_H_
#define HEADWAY_OPERATORS_BROADCAST_JOIN_H_

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/step/define_step.h"
#include "engine/step/held_watermarks.h"
#include "engine/step/keyed_operator.h"
#include "engine/step/operator_builder.h"
#include "operators/join_parts.h"

namespace headway {

struct BroadcastJoinOptions {
  // Records wait for the end of their epoch in the table stream. False: they meet the rows that
  // have arrived before them, and results depend on timing.
  bool waits_for_epoch = true;
};

namespace internal {

// The table of a BroadcastJoin, and the records and changes that wait.
template <bool keeps_unmatched, class A, class B>
class BroadcastTable {
 public:
  using K = KeyOfPair<A>;
  using V = typename TableValue<ValueOfPair<B>>::Type;
  using Row = std::tuple<ValueOfPair<A>, std::conditional_t<keeps_unmatched, std::optional<V>, V>>;
  using Result = std::pair<K, Row>;

  BroadcastTable(Endpoint& endpoint, NodeInput<B>& changes, NodeInput<A>& records,
                 NodeOutput<Result>& output, KeyedState<K, V>& rows, EpochInputs<>& epochs)
      : endpoint_(endpoint),
        changes_(changes),
        records_(records),
        output_(output),
        rows_(rows),
        epochs_(epochs) {}

  void RunAtOnce() {
    epochs_.ForEach(changes_,
                    [this](const CapabilityRef<>&, Batch<B>& batch) { ApplyChanges(batch); });
    records_.ForEach(
        [this](const CapabilityRef<>& time, Batch<A>& batch) { JoinRecords(time, batch); });
    epochs_.CloseEnded();
  }

  void RunByEpoch() {
    epochs_.ForEach(changes_, [this](const CapabilityRef<>& time, Batch<B>& batch) {
      batch.Shrink(endpoint_);  // many small ones may have to wait
      waiting_[time.time()].changes.push_back(std::move(batch));
    });
    records_.ForEach(
        [this](const CapabilityRef<>& time, Batch<A>& batch) {
          if (waiting_.empty() && HasTableOf(time.time())) return JoinRecords(time, batch);
          Waiting& waiting = waiting_[time.time()];
          if (waiting.records.empty()) waiting.right = time.Retain();
          batch.Shrink(endpoint_);
          waiting.records.push_back(std::move(batch));
        },
        [this](const CapabilityRef<>& time, const ArrivedWatermark& watermark) {
          const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(), HasRecords);
          if (last == waiting_.rend()) {
            records_.ApplyWatermark(time, watermark);
          } else {
            // Not at an earlier time: that would keep it incomplete, and the table could wait for
            // it.
            const Epoch at = std::max(time.time(), last->first);
            watermarks_[last->first].Hold(time.Delayed(at), watermark);
          }
        });
    ApplyDue();
    ApplyWatermarks();
    epochs_.CloseEnded();
  }

 private:
  struct Waiting {
    std::vector<Batch<B>> changes;
    std::vector<Batch<A>> records;
    Capability<> right;  // to send the results of `records`
  };
  // Whether all changes up to the end of the epoch have come.
  bool HasTableOf(Epoch epoch) const {
    return !changes_.frontier().LessEqual(epoch) && !epochs_.HasWaiting(epoch);
  }

  // The changes of an epoch are applied when no record of an earlier one can come, and its records
  // are joined when no more changes of it can come.
  void ApplyDue() {
    while (!waiting_.empty()) {
      auto& [epoch, waiting] = *waiting_.begin();
      if (records_.frontier().LessThan(epoch)) return;
      for (Batch<B>& batch : waiting.changes) ApplyChanges(batch);
      waiting.changes.clear();
      if (!HasTableOf(epoch)) return;
      for (Batch<A>& batch : waiting.records) JoinRecords(waiting.right, batch);
      waiting_.erase(waiting_.begin());
    }
  }

  static bool HasRecords(const std::pair<const Epoch, Waiting>& entry) {
    return !entry.second.records.empty();
  }

  void ApplyWatermarks() {
    const auto first = std::find_if(waiting_.begin(), waiting_.end(), HasRecords);
    while (!watermarks_.empty() &&
           (first == waiting_.end() || watermarks_.begin()->first < first->first)) {
      watermarks_.begin()->second.Apply(records_);
      watermarks_.erase(watermarks_.begin());
    }
  }

  void ApplyChanges(Batch<B>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) {
      auto&& [key, value] = batch.Take(i);
      if constexpr (std::is_same_v<V, ValueOfPair<B>>) {
        rows_.At(key) = V(std::move(value));
      } else if (value.has_value()) {
        rows_.At(key) = *std::move(value);
      } else {
        rows_.Erase(key);
      }
    }
  }

  template <class Right>
  void JoinRecords(const Right& right, Batch<A>& batch) {
    auto session = output_.SessionAt(right);
    auto key = [&](size_t i) -> KeyInBatch<A, decltype((std::as_const(batch)[i].first))> {
      return std::as_const(batch)[i].first;
    };
    rows_.PeekEach(batch.size(), key, [&](size_t i, const V* row) {
      if (!keeps_unmatched && row == nullptr) return;
      auto&& record = batch.Take(i);
      if constexpr (keeps_unmatched) {
        session.Give(std::pair(
            std::move(record.first),
            Row(std::move(record.second), row != nullptr ? std::optional<V>(*row) : std::nullopt)));
      } else {
        session.Give(std::pair(std::move(record.first), Row(std::move(record.second), *row)));
      }
    });
  }

  Endpoint& endpoint_;
  NodeInput<B>& changes_;
  NodeInput<A>& records_;
  NodeOutput<Result>& output_;
  KeyedState<K, V>& rows_;
  EpochInputs<>& epochs_;
  std::map<Epoch, Waiting> waiting_;
  // Of the records; they pass when those up to this epoch are joined.
  std::map<Epoch, HeldWatermarks<Epoch>> watermarks_;
};

// Sends the changes of a key to one worker, so that they reach all in one order. A table has no
// event time: the watermark of the stream is inactive from the start, and holds nothing back.
template <class B>
Stream<B> RouteChanges(const Stream<B>& table, const std::string& id) {
  Scope<>::Substeps substeps(table.scope(), id);
  OperatorBuilder<Epoch> builder(table.scope(), "table");
  Graph& graph = builder.graph();
  auto& input = builder.AddInput(table, pact::Exchange{FirstOfPair()});
  auto& output = builder.template AddOutput<B>();
  builder.IgnoreFrontier(0);
  builder.Build([&](std::vector<Capability<>> first) {
    return [&graph, &input, &output, start = std::move(first[0])]() mutable {
      if (start.held()) {
        const Epoch time = start.time();
        if (graph.parts().has_event_time) output.PushWatermark(&time, {.active = false});
        start.Drop();
      }
      input.ForEach([&](const CapabilityRef<>& at,
                        Batch<B>& batch) { output.SessionAt(at).GiveBatch(std::move(batch)); },
                    [](const CapabilityRef<>&, const ArrivedWatermark&) {});
    };
  });
  return builder.StreamOf(output);
}

template <bool keeps_unmatched, class A, class B, class T>
auto BuildBroadcastJoin(const Stream<A, T>& records, const std::string& id,
                        const Stream<B, T>& table, BroadcastJoinOptions options) {
  static_assert(std::is_same_v<T, Epoch>, "BroadcastJoin must be in the root scope");
  static_assert(KeyValueRecord<A> && KeyValueRecord<B>,
                "BroadcastJoin: the streams must have (key, value) pairs as records; make them "
                "with KeyOn");
  static_assert(std::is_same_v<KeyOfPair<A>, KeyOfPair<B>>,
                "BroadcastJoin: the keys of both streams must have the same type");
  static_assert(StableKey<KeyOfPair<A>>,
                "BroadcastJoin: the key must have a stable hash and ==: numbers, strings, std "
                "types and aggregates of them have both, and a type of your own needs uint64_t "
                "HeadwayStableHash(const Type&) and operator==");
  using Table = BroadcastTable<keeps_unmatched, A, B>;
  const Stream<B, T> changes = RouteChanges(table, id);
  OperatorBuilder<T> builder(records.scope(), id);
  auto& in_changes = builder.AddInput(changes, pact::Broadcast{});
  auto& in_records = builder.AddInput(records, pact::Pipeline{});
  auto& output = builder.template AddOutput<typename Table::Result>();
  auto& rows = builder.template AddReplicatedState<typename Table::K, typename Table::V>();
  auto& joined = builder.graph().objects().template Make<Table>(builder.graph().worker().endpoint(),
                                                                in_changes, in_records, output,
                                                                rows, builder.OrderEpochs());
  if (options.waits_for_epoch) {
    builder.BuildWithoutCapabilities([&joined] { joined.RunByEpoch(); });
  } else {
    builder.BuildWithoutCapabilities([&joined] { joined.RunAtOnce(); });
  }
  return builder.StreamOf(output);
}

template <bool keeps_unmatched, class B, class T>
auto DefineBroadcastJoin(std::string step_id, const Stream<B, T>& table,
                         BroadcastJoinOptions options) {
  return DefineStep(std::move(step_id), table, options,
                    []<class A>(const Stream<A, T>& records, const std::string& id,
                                const Stream<B, T>& rows, BroadcastJoinOptions with) {
                      return BuildBroadcastJoin<keeps_unmatched>(records, id, rows, with);
                    });
}

}  // namespace internal

// Looks up each record in a table that is small, and the same on every worker:
// `records | BroadcastJoin("id", table)`. Both are streams of (key, value) pairs. Stream<(K, A)>
// becomes Stream<std::pair<K, std::tuple<A, V>>>. Records whose key has no row are dropped; with
// BroadcastLeftJoin they stay, and the result is (K, std::tuple<A, std::optional<V>>).
//
// The table is a stream of changes: (key, V) sets the row of the key, the last value wins. In a
// stream of (key, std::optional<V>), std::nullopt erases the row.
//
// A record meets the table as it is at the end of the record's epoch, whatever the timing. So a
// record waits until the table stream has ended its epoch: not at all if that stream has ended, up
// to the length of an epoch otherwise. The waiting records are in memory. With
// BroadcastJoinOptions{.waits_for_epoch = false} a record meets the rows that have arrived before.
//
// The records are not exchanged, so a hot key does no harm. The changes are sent to all workers,
// by way of the worker of their key, in a step "id.table". Changes of one key by several workers in
// one epoch have an arbitrary order, which is the same for all. The watermark is that of the
// records. Each worker keeps the whole table,
// also at the end of the input and at a graceful stop. Snapshots have it once. If the table is
// large, prefer Join or LeftJoin.
template <class B, class T>
auto BroadcastJoin(std::string step_id, const Stream<B, T>& table,
                   BroadcastJoinOptions options = {}) {
  return internal::DefineBroadcastJoin<false>(std::move(step_id), table, options);
}
template <class B, class T>
auto BroadcastLeftJoin(std::string step_id, const Stream<B, T>& table,
                       BroadcastJoinOptions options = {}) {
  return internal::DefineBroadcastJoin<true>(std::move(step_id), table, options);
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_BROADCAST_JOIN_H_
