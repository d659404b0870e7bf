#ifndef HEADWAY_BENCH_HEADWAY_BENCH_HISTOGRAM_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_HISTOGRAM_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/codec/codec.h"

namespace headway::bench {

// Latencies in nanoseconds, counted in buckets that are at most 1/128 of their value wide, which is
// precise enough for percentiles. Takes 60 KiB after the first use. Not thread safe.
class Histogram {
 public:
  void Add(uint64_t nanoseconds) {
    if (counts_.empty()) counts_.resize(kBuckets);
    ++counts_[BucketOf(nanoseconds)];
  }

  void Merge(const Histogram& other) {
    if (other.empty()) return;
    counts_.resize(kBuckets);
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  }

  bool empty() const { return counts_.empty(); }

  // The smallest bucket bound, in microseconds, such that at least `fraction` of the latencies are
  // not greater.
  double QuantileMicros(double fraction) const {
    uint64_t total = 0;
    for (uint64_t count : counts_) total += count;
    const double rank = std::max(1.0, std::ceil(static_cast<double>(total) * fraction));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= rank) return static_cast<double>(UpperBound(i)) / 1e3;
    }
    return 0;
  }

 private:
  static constexpr int kSubBits = 7;
  static constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBits;
  static constexpr size_t kBuckets = kSubBuckets * (65 - kSubBits);

  static size_t BucketOf(uint64_t value) {
    if (value < kSubBuckets) return value;
    const int shift = 63 - std::countl_zero(value) - kSubBits;
    return static_cast<size_t>(shift) * kSubBuckets + (value >> shift);
  }

  static uint64_t UpperBound(size_t bucket) {
    if (bucket < 2 * kSubBuckets) return bucket;
    const uint64_t shift = bucket / kSubBuckets - 1;
    const uint64_t mantissa = bucket % kSubBuckets + kSubBuckets;
    return (mantissa << shift) + ((uint64_t{1} << shift) - 1);
  }

  std::vector<uint64_t> counts_;

 public:
  HEADWAY_CODEC_FIELDS(Histogram, counts_);
};

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_HISTOGRAM_H_
