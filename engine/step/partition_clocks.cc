#include "engine/step/partition_clocks.h"

#include <algorithm>

namespace headway::internal {
namespace {

EventTime Less(EventTime time, EventTime by) {
  EventTime less;
  if (__builtin_sub_overflow(time, by, &less)) return kNoWatermark;
  return less;
}

}  // namespace

PartitionClocks::PartitionClocks(Graph& graph, OutputPortBase& port, WatermarkRule rule)
    : graph_(graph), port_(port), rule_(rule), alarm_(graph, port.node()) {
  // An input that the host feeds is one partition.
  if (port_.partitions != nullptr) return;
  least_first_.emplace(kNoWatermark, 0);
  partitions_[0].record_at_nanos = graph_.worker().NowNanos();
}

uint32_t PartitionClocks::current() const {
  return port_.partitions == nullptr ? 0 : port_.partitions->current;
}

EventTime& PartitionClocks::LatestOfCurrent() {
  Partition& partition = partitions_[current()];
  partition.has_news = true;
  return partition.latest;
}

std::optional<Watermark> PartitionClocks::Derive(const Watermark& told) {
  const int64_t now = graph_.worker().NowNanos();
  Watermark derived = passed_;
  derived.port = told.port;
  derived.active = told.active;
  if (told.active) {
    if (told.partitions != nullptr) FollowPartitions(*told.partitions, now);
    const auto current_partition = partitions_.find(current());
    if (current_partition != partitions_.end()) {
      Advance(current_partition->first, current_partition->second, now);
    }
    const EventTime of_idle = FindIdle(now);
    const bool may_rise = told.partitions == nullptr || told.partitions->all_open;
    derived.active = !may_rise || !least_first_.empty();
    if (may_rise) {
      const EventTime least = least_first_.empty() ? of_idle : least_first_.begin()->first;
      derived.time = std::max(derived.time, least);
    }
  }
  const bool same_activity = derived.active == passed_.active;
  if (same_activity && told.more_follows && now - passed_at_nanos_ < kIntervalNanos) {
    return std::nullopt;
  }
  passed_ = derived;
  passed_at_nanos_ = now;
  return derived;
}

void PartitionClocks::FollowPartitions(const ReadPartitions& read, int64_t now) {
  for (; opened_seen_ < read.opened; ++opened_seen_) {
    partitions_[opened_seen_].record_at_nanos = now;
    least_first_.emplace(kNoWatermark, opened_seen_);
  }
  for (; closed_seen_ < read.closed.size(); ++closed_seen_) {
    const auto closed = partitions_.find(read.closed[closed_seen_]);
    least_first_.erase({closed->second.watermark, closed->first});
    partitions_.erase(closed);
  }
}

void PartitionClocks::Advance(uint32_t number, Partition& partition, int64_t now) {
  if (!std::exchange(partition.has_news, false)) return;
  partition.record_at_nanos = now;
  const EventTime watermark = std::max(partition.watermark, Less(partition.latest, rule_.disorder));
  auto entry = least_first_.extract({partition.watermark, number});
  partition.watermark = watermark;
  partition.idle = false;
  if (entry.empty()) {
    least_first_.emplace(watermark, number);
  } else {
    entry.value() = {watermark, number};
    least_first_.insert(std::move(entry));
  }
}

// Only a partition that holds the others back is of interest. Returns the watermark of the last one
// that has become idle.
EventTime PartitionClocks::FindIdle(int64_t now) {
  EventTime of_last = kNoWatermark;
  if (rule_.idle_nanos == Alarm::kNever) return of_last;
  while (!least_first_.empty()) {
    Partition& first = partitions_[least_first_.begin()->second];
    const int64_t idle_at = Alarm::Later(first.record_at_nanos, rule_.idle_nanos);
    if (idle_at > now) {
      alarm_.Set(now, idle_at);
      break;
    }
    first.idle = true;
    of_last = least_first_.begin()->first;
    least_first_.erase(least_first_.begin());
  }
  return of_last;
}

}  // namespace headway::internal
