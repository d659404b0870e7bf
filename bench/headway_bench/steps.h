#ifndef HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "bench/headway_bench/generate.h"
#include "headway.h"

// Steps and helpers that several benchmarks share.

namespace headway::bench {

// The record type of an output without records.
using Nothing = uint8_t;

// Ends a stream of numbers with an operator that adds them up.
template <class Pact>
auto SumInto(uint64_t& total, Pact pact) {
  return Unary<Nothing>("sum", pact, [&total](Capability<>) {
    return [&total](NodeInput<uint64_t>& in, NodeOutput<Nothing>&) {
      in.ForEach([&](const CapabilityRef<Epoch>&, Batch<uint64_t>& batch) {
        total += Sum({batch.begin(), batch.end()});
      });
    };
  });
}

// Sends the numbers of a range, in whole batches.
inline void SendRange(InputHandle<uint64_t>& input, Range range) {
  internal::Endpoint* const endpoint = input.endpoint();
  while (range.first < range.last && endpoint != nullptr) {
    Batch<uint64_t> batch;
    batch.AllocateRoom(*endpoint);
    const uint64_t count = std::min<uint64_t>(range.size(), batch.room());
    FillFrom(range.first, {batch.end(), count});
    batch.Grow(count);
    range.first += count;
    input.SendBatch(std::move(batch));
  }
}

// Sends plain records, in whole batches.
template <class D>
void SendAll(InputHandle<D>& input, std::span<const D> records) {
  internal::Endpoint* const endpoint = input.endpoint();
  while (!records.empty() && endpoint != nullptr) {
    Batch<D> batch;
    batch.AllocateRoom(*endpoint);
    const size_t count = std::min(records.size(), batch.room());
    std::copy_n(records.data(), count, batch.end());
    batch.Grow(count);
    records = records.subspan(count);
    input.SendBatch(std::move(batch));
  }
}

// A routing key that selects worker `number % workers`. For benchmarks whose definition says on
// which worker a record must arrive; an application would use the number itself as the key.
class ModuloKey {
 public:
  explicit ModuloKey(int workers)
      : workers_(static_cast<uint64_t>(workers)),
        mask_(std::has_single_bit(workers_) ? workers_ - 1 : 0) {
    for (int worker = 0; worker < workers; ++worker) {
      uint64_t key = 0;
      while (RouteHash(StableHash(key), workers) != worker) ++key;
      keys_.push_back(key);
    }
  }

  uint64_t operator()(uint64_t number) const {
    return keys_[mask_ != 0 ? number & mask_ : number % workers_];
  }

 private:
  uint64_t workers_;
  uint64_t mask_;               // 0 unless the number of workers is a power of two
  std::vector<uint64_t> keys_;  // by worker
};

// Records that are appended one by one and read in the same order, in pieces of a page. It
// allocates less often than a std::deque.
template <class D>
class Pieces {
 public:
  size_t size() const { return pieces_.size() * kPiece - static_cast<size_t>(end_ - next_); }
  void Add(const D& record) {
    if (next_ == end_) [[unlikely]] {
      pieces_.push_back(std::make_unique_for_overwrite<D[]>(kPiece));
      next_ = pieces_.back().get();
      end_ = next_ + kPiece;
    }
    *next_++ = record;
  }
  template <class F>
  void ForEach(F f) const {
    for (const std::unique_ptr<D[]>& piece : pieces_) {
      const D* const last = &piece == &pieces_.back() ? next_ : piece.get() + kPiece;
      for (const D* record = piece.get(); record != last; ++record) f(*record);
    }
  }

 private:
  static constexpr size_t kPiece = 4096 / sizeof(D);

  std::vector<std::unique_ptr<D[]>> pieces_;
  D* next_ = nullptr;  // in the last piece
  D* end_ = nullptr;
};

// The division of a graph's nodes among workers: node n is on worker n % workers, at place n /
// workers.
class Placement {
 public:
  explicit Placement(const Worker& worker)
      : index_(static_cast<uint64_t>(worker.index())),
        workers_(static_cast<uint64_t>(worker.count())) {}

  // The number of this worker's nodes, of `nodes` in all.
  size_t Count(uint64_t nodes) const {
    return nodes <= index_ ? 0 : (nodes - index_ + workers_ - 1) / workers_;
  }
  // A multiplication with floor((2^64 - 1) / workers) replaces a division. The error is less than
  // (node + 1) / 2^64, so with node + 1 the result is exact for 32 bits.
  uint32_t PlaceOf(uint32_t node) const {
    return static_cast<uint32_t>((Uint128{inverse_} * (uint64_t{node} + 1)) >> 64);
  }
  uint64_t NodeAt(uint64_t place) const { return place * workers_ + index_; }

 private:
  uint64_t index_;
  uint64_t workers_;
  uint64_t inverse_ = ~uint64_t{0} / workers_;
};

// The state of a key in CountChanges.
struct Totals {
  uint64_t count = 0;
  uint64_t sum = 0;
};

struct KeyOfChange {
  template <class Change>
  uint64_t operator()(const Change& change) const {
    return change.key;
  }
};

// Counts changes, which have a `key`, by key, and emits result_of(change, const Totals&) for each.
template <class Change, class ResultOf>
Stream<Change> CountChanges(const Stream<Change>& changes, ResultOf result_of) {
  KeyedOperator<Totals, Change, Epoch, KeyOfChange> keyed(changes, "count", KeyOfChange());
  auto& output = keyed.template AddOutput<Change>();
  keyed.OnBatch([&step = keyed.step(), &output, result_of](const CapabilityRef<>& time,
                                                           Batch<Change>& batch) {
    auto session = output.SessionAt(time);
    step.AtEach(batch, [&](size_t i, Totals& totals) {
      ++totals.count;
      totals.sum = SplitMix64(totals.sum + batch[i].key);
      session.Give(result_of(batch[i], totals));
    });
  });
  return keyed.Build(output);
}

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_STEPS_H_
