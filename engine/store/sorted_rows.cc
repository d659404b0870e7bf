#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "check.h"
#include "engine/store/block.h"
#include "engine/store/row.h"
#include "format.h"

namespace headway::internal {
namespace {

// The place of a row in the buffers. The order of places is that in which the rows were appended.
struct Place {
  static constexpr int kOffsetBits = 40;

  Place(size_t buffer, size_t offset) : bits(uint64_t{buffer} << kOffsetBits | offset) {}
  Place() = default;
  size_t buffer() const { return bits >> kOffsetBits; }
  size_t offset() const { return bits & ((uint64_t{1} << kOffsetBits) - 1); }

  uint64_t bits = 0;
};

struct Entry {
  uint64_t hash = 0;
  Place place;

  bool operator<(const Entry& other) const {
    return hash != other.hash ? hash < other.hash : place.bits < other.place.bits;
  }
};

// Sorts by hash, then by place. Hashes are spread evenly over their range, so one pass puts them
// into small buckets that are sorted in the cache. Other distributions only make it slower.
void Sort(std::vector<Entry>& entries) {
  constexpr size_t kBucketSize = 16;
  if (entries.size() <= 2 * kBucketSize) {
    std::sort(entries.begin(), entries.end());
    return;
  }
  uint64_t first = entries.front().hash;
  uint64_t last = first;
  for (const Entry& entry : entries) {
    first = std::min(first, entry.hash);
    last = std::max(last, entry.hash);
  }
  // Buckets of equal ranges: the high bits of the distance from the first hash.
  const int range_bits = static_cast<int>(std::bit_width(last - first));
  const int bucket_bits =
      std::min(range_bits, static_cast<int>(std::bit_width(entries.size() / kBucketSize)));
  const int shift = range_bits - bucket_bits;
  std::vector<size_t> ends(size_t{1} << bucket_bits);
  for (const Entry& entry : entries) ++ends[(entry.hash - first) >> shift];
  size_t sum = 0;
  for (size_t& end : ends) {
    const size_t count = end;
    end = sum;  // the begin of the bucket, until its entries have moved
    sum += count;
  }
  std::vector<Entry> sorted(entries.size());
  for (const Entry& entry : entries) sorted[ends[(entry.hash - first) >> shift]++] = entry;
  size_t begin = 0;
  for (const size_t end : ends) {
    std::sort(sorted.begin() + static_cast<ptrdiff_t>(begin),
              sorted.begin() + static_cast<ptrdiff_t>(end));
    begin = end;
  }
  entries.swap(sorted);
}

StateRow RowAt(const std::vector<std::string>& buffers, Place place) {
  StateRow row;
  RowReader reader(std::string_view(buffers[place.buffer()]).substr(place.offset()));
  HEADWAY_CHECK(reader.Next(&row));
  return row;
}

}  // namespace

absl::StatusOr<std::vector<StoredBlock>> BlocksOf(const std::vector<std::string>& buffers) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < buffers.size(); ++i) {
    RowReader reader(buffers[i]);
    StateRow row;
    for (size_t offset = 0; reader.Next(&row); offset = buffers[i].size() - reader.remaining()) {
      if (row.byte_count() > kRowBytesMax) {
        return absl::InvalidArgumentError(
            Format("the state of a key has %d bytes, and the recovery store takes at most %d for "
                   "a key: keep large states in several parts",
                   row.byte_count(), kRowBytesMax));
      }
      entries.push_back({row.hash, Place(i, offset)});
    }
    if (reader.malformed()) return absl::DataLossError("a buffer of state rows is malformed");
  }
  Sort(entries);

  BlockWriter writer;
  std::vector<StateRow> same_hash;
  std::vector<size_t> order;
  constexpr size_t kAhead = 16;  // rows lie anywhere in memory, so they are fetched in advance
  for (size_t i = 0; i < entries.size();) {
    if (i + kAhead < entries.size()) {
      const Place ahead = entries[i + kAhead].place;
      __builtin_prefetch(buffers[ahead.buffer()].data() + ahead.offset());
    }
    const uint64_t hash = entries[i].hash;
    const StateRow row = RowAt(buffers, entries[i++].place);
    if (i == entries.size() || entries[i].hash != hash) {
      writer.Add(row);
      continue;
    }
    same_hash.assign(1, row);
    while (i < entries.size() && entries[i].hash == hash) {
      same_hash.push_back(RowAt(buffers, entries[i++].place));
    }
    order.resize(same_hash.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&same_hash](size_t a, size_t b) {
      const bool is_less = RowLess(same_hash[a], same_hash[b]);
      return is_less || (a < b && !RowLess(same_hash[b], same_hash[a]));
    });
    for (size_t j = 0; j < order.size(); ++j) {
      const bool is_last =
          j + 1 == order.size() || RowLess(same_hash[order[j]], same_hash[order[j + 1]]);
      if (is_last) writer.Add(same_hash[order[j]]);
    }
  }
  return writer.Finish();
}

}  // namespace headway::internal
