#ifndef HEADWAY_ENGINE_GRAPH_EXCHANGE_CHANNEL_H_
#define HEADWAY_ENGINE_GRAPH_EXCHANGE_CHANNEL_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/codec/stable_hash.h"
#include "engine/graph/channel.h"
#include "engine/graph/partition_in_two.h"

namespace headway::internal {

// Partitions batches by the hash of a key into one buffer per worker. A buffer is sent when it is
// full, and when the producer returns.
//
// Workers are in different epochs, so the times of a producer's batches alternate. Each of the last
// few times has buffers of its own; otherwise every exchange would divide batches into smaller
// ones. For each worker, the records of earlier times are sent first: no record overtakes another
// one of the same producer and key that was sent at an earlier time.
template <class D, class T, class KeyFn>
class ExchangeChannel final : public RoutedChannel<D, T> {
 public:
  ExchangeChannel(Graph& graph, InputPortBase& target, ScopeTracker<T>& tracker, KeyFn key)
      : RoutedChannel<D, T>(graph, target, tracker),
        key_(std::move(key)),
        buffers_(static_cast<size_t>(graph.worker().count())) {}

  void Push(const T& time, Batch<D>&& batch) override {
    if (buffers_.size() == 1) {
      this->Send(0, time, std::move(batch));
      return;
    }
    if (!(time == time_)) [[unlikely]] {
      ChangeTime(time);
    }
    has_records_ = true;
    this->graph_.errors().Guard(this->target_.node().step_id(), [&] {
      if (batch.size() == 1) {
        PartitionSingle(batch);
        return;
      }
      if constexpr (kCopiesPlainRecords || std::is_same_v<Batch<D>, StringBatch>) {
        if (buffers_.size() == 2) {
          PartitionInTwo(batch);
          return;
        }
      }
      Partition(batch);
    });
  }

  bool KeepsRecords() const override { return buffers_.size() > 1; }
  void Flush() override {
    if (!std::exchange(has_records_, false)) return;
    if (parked_count_ > 0) [[unlikely]] {
      ParkCurrent();
      while (parked_count_ > 0) SendEarliest();
      return;
    }
    SendAll(time_, buffers_);
  }

 private:
  static constexpr bool kCopiesPlainRecords = std::is_same_v<Batch<D>, VectorBatch<D>> &&
                                              std::is_trivially_copyable_v<D> &&
                                              std::is_copy_assignable_v<D> && sizeof(D) <= 32;

  // The times other than the current one that have buffers. Sources are in two epochs at most,
  // unless max_epochs_in_flight is larger.
  static constexpr size_t kMaxParked = 3;

  using Buffers = std::vector<Batch<D>>;
  // The buffers of a time that is not the current one.
  struct Parked {
    T time = TimestampTraits<T>::Minimum();
    Buffers buffers;
  };

  void SendAll(const T& time, Buffers& buffers) {
    for (size_t worker = 0; worker < buffers.size(); ++worker) {
      if (!buffers[worker].empty()) {
        this->SendTo(static_cast<int>(worker), time, std::move(buffers[worker]));
      }
    }
  }

  [[gnu::noinline]] void ChangeTime(const T& time) {
    if (has_records_) {
      for (size_t i = 0; i < parked_count_; ++i) {
        if (!(parked_[i].time == time)) continue;
        std::swap(parked_[i].time, time_);
        std::swap(parked_[i].buffers, buffers_);
        return;
      }
      if (parked_count_ == kMaxParked) {
        Flush();
      } else {
        ParkCurrent();
      }
    }
    time_ = time;
  }
  void ParkCurrent() {
    if (parked_.size() == parked_count_) parked_.push_back({time_, Buffers(buffers_.size())});
    parked_[parked_count_].time = time_;
    std::swap(parked_[parked_count_++].buffers, buffers_);
  }

  // Returns the earliest parked time that is before the current one and has records for the worker,
  // or null.
  Parked* EarlierFor(size_t worker) {
    Parked* earliest = nullptr;
    for (size_t i = 0; i < parked_count_; ++i) {
      Parked& parked = parked_[i];
      if (parked.buffers[worker].empty()) continue;
      const T& bound = earliest != nullptr ? earliest->time : time_;
      if (TimestampTraits<T>::TotalLess(parked.time, bound)) earliest = &parked;
    }
    return earliest;
  }
  [[gnu::noinline]] void SendEarlier(int worker) {
    const auto index = static_cast<size_t>(worker);
    while (Parked* earlier = EarlierFor(index)) {
      this->SendTo(worker, earlier->time, std::move(earlier->buffers[index]));
    }
  }
  void SendEarliest() {
    size_t earliest = 0;
    for (size_t i = 1; i < parked_count_; ++i) {
      if (TimestampTraits<T>::TotalLess(parked_[i].time, parked_[earliest].time)) earliest = i;
    }
    SendAll(parked_[earliest].time, parked_[earliest].buffers);
    std::swap(parked_[earliest], parked_[--parked_count_]);
  }

  using Key = std::remove_cvref_t<std::invoke_result_t<KeyFn&, ReadType<D>>>;
  static constexpr bool kDividesTogether = kCopiesPlainRecords && std::is_integral_v<Key>;

  static DivideInTwoFn<D, Key> SelectDivide() {
    if constexpr (kDividesTogether) return SelectDivideInTwo<D, Key>();
    return nullptr;
  }

  void Partition(Batch<D>& batch) {
    for (size_t i = 0; i < batch.size(); ++i) PartitionOne(batch, i);
  }
  int TargetOf(const Batch<D>& batch, size_t i) {
    return RouteHash(StableHash(key_(batch[i])), static_cast<int>(buffers_.size()));
  }
  // The batch itself becomes the buffer, without a copy, if the buffer is empty and the block has
  // the default size.
  void PartitionSingle(Batch<D>& batch) {
    const int target = TargetOf(batch, 0);
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (buffer.empty() && batch.has_default_block()) {
      buffer = std::move(batch);
    } else {
      AppendTo(target, batch, 0);
    }
  }
  void PartitionOne(Batch<D>& batch, size_t i) { AppendTo(TargetOf(batch, i), batch, i); }
  void AppendTo(int target, Batch<D>& batch, size_t i) {
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (!buffer.TryAppend(batch.Take(i))) {
      MakeRoom(target, batch[i]);
      buffer.TryAppend(batch.Take(i));
    }
  }

  // For two targets and plain records. No branch depends on the data; room is checked once per run.
  void PartitionInTwo(VectorBatch<D>& batch) {
    const D* from = batch.begin();
    const D* const last = batch.end();
    while (from != last) {
      for (int target : {0, 1}) {
        if (buffers_[static_cast<size_t>(target)].room() == 0) MakeRoom(target, *from);
      }
      size_t run =
          std::min({static_cast<size_t>(last - from), buffers_[0].room(), buffers_[1].room()});
      D* to0 = buffers_[0].end();
      D* to1 = buffers_[1].end();
      const D* const end = from + run;
      if constexpr (kDividesTogether) {
        if (divide_in_two_ != nullptr) from = DivideTogether(from, end, &to0, &to1);
      }
      for (; from != end; ++from) {
        const int target = RouteHash(StableHash(key_(*from)), 2);
        StoreToOneOfTwo(*from, static_cast<uint64_t>(target), &to0, &to1);
      }
      buffers_[0].Grow(static_cast<size_t>(to0 - buffers_[0].end()));
      buffers_[1].Grow(static_cast<size_t>(to1 - buffers_[1].end()));
    }
  }

  // Divides records in groups of kDividedTogether, and returns the first of the rest.
  const D* DivideTogether(const D* from, const D* end, D** to0, D** to1) {
    // Many keys are computed before the first is read. Reading bytes in wider words right after
    // writing them stalls the processor (store forwarding fails).
    std::array<Key, 8 * kDividedTogether> keys;  // not initialized
    while (static_cast<size_t>(end - from) >= kDividedTogether) {
      const size_t whole = static_cast<size_t>(end - from) / kDividedTogether * kDividedTogether;
      const size_t run = std::min(whole, keys.size());
      const Key* key = keys.data();
      if constexpr (std::is_same_v<KeyFn, std::identity>) {
        key = from;
      } else {
        for (size_t i = 0; i < run; ++i) keys[i] = key_(from[i]);
      }
      for (const D* const stop = from + run; from != stop; from += kDividedTogether) {
        divide_in_two_(key, from, to0, to1);
        key += kDividedTogether;
      }
    }
    return from;
  }

  // The same for short strings; longer ones are appended one by one.
  void PartitionInTwo(StringBatch& batch) {
    for (size_t i = 0; i < batch.size();) {
      for (int target : {0, 1}) {
        if (buffers_[static_cast<size_t>(target)].room_for_short() == 0) {
          MakeRoom(target, std::string_view());
        }
      }
      const size_t run =
          std::min({batch.size() - i, buffers_[0].room_for_short(), buffers_[1].room_for_short()});
      StringBatch::ShortWriter to0(buffers_[0]);
      StringBatch::ShortWriter to1(buffers_[1]);
      const size_t end = i + run;
      for (; i < end; ++i) {
        const BatchString record = batch[i];
        if (record.size() > StringBatch::kShortMax) [[unlikely]] {
          break;
        }
        const auto bit = static_cast<uint32_t>(RouteHash(StableHash(key_(record)), 2));
        to0.Write(record, 1 - bit);
        to1.Write(record, bit);
      }
      to0.Finish(buffers_[0]);
      to1.Finish(buffers_[1]);
      if (i < end) PartitionOne(batch, i++);
    }
  }

  template <class U>
  void MakeRoom(int target, const U& record) {
    Batch<D>& buffer = buffers_[static_cast<size_t>(target)];
    if (!buffer.empty()) {
      if (parked_count_ > 0) [[unlikely]] {
        SendEarlier(target);
      }
      this->SendTo(target, time_, std::move(buffer));
    }
    // NOLINTNEXTLINE(bugprone-use-after-move): a batch that was moved from is empty
    buffer.Allocate(this->graph_.worker().endpoint(), record);
  }

  KeyFn key_;
  const DivideInTwoFn<D, Key> divide_in_two_ = SelectDivide();
  Buffers buffers_;           // of the current time
  bool has_records_ = false;  // in some buffer, perhaps
  T time_ = TimestampTraits<T>::Minimum();
  std::vector<Parked> parked_;  // the first parked_count_ may have records
  size_t parked_count_ = 0;
};

template <class D, class T, class KeyFn>
Channel<D, T>& MakeChannel(pact::Exchange<KeyFn> exchange, Graph& graph, InputPortBase& target,
                           ScopeTracker<T>& tracker) {
  static_assert(std::is_invocable_v<KeyFn&, ReadType<D>>,
                "pact::Exchange: the key function must take one record of its stream, with "
                "std::string_view for its strings, and return its key");
  static_assert(StableHashable<std::decay_t<std::invoke_result_t<KeyFn&, ReadType<D>>>>,
                "pact::Exchange: the key must have a stable hash: numbers, strings, std types and "
                "aggregates of them have one, and a type of your own needs uint64_t "
                "HeadwayStableHash(const Type&) beside it");
  RequireCodec<D>();
  return graph.objects().Make<ExchangeChannel<D, T, KeyFn>>(graph, target, tracker,
                                                            std::move(exchange.key));
}

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_EXCHANGE_CHANNEL_H_
