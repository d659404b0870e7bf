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
  fed_by_hand_.opened = 1;
  fed_by_hand_.all_open = true;
  fed_by_hand_.empty_since.push_back(graph.worker().NowNanos());
}

const ReadPartitions& PartitionClocks::read() const {
  return port_.partitions == nullptr ? fed_by_hand_ : *port_.partitions;
}

EventTime& PartitionClocks::LatestOfCurrent() {
  Partition& partition = partitions_[read().current];
  if (!std::exchange(partition.has_news, true)) news_.push_back(read().current);
  return partition.latest;
}

std::optional<Watermark> PartitionClocks::Derive(const Watermark& told) {
  const int64_t now = graph_.worker().NowNanos();
  Watermark derived = passed_;
  derived.port = told.port;
  derived.active = told.active;
  if (!news_.empty() && port_.partitions == nullptr) fed_by_hand_.empty_since[0] = now;
  for (uint32_t number : news_) Advance(number);
  news_.clear();
  if (told.active) {
    FollowPartitions();
    const EventTime of_idle = FindIdle(now);
    derived.active = !read().all_open || !least_first_.empty();
    if (read().all_open) {
      const EventTime least = least_first_.empty() ? of_idle : least_first_.begin()->first;
      derived.time = std::max(derived.time, least);
    }
  }
  const bool same_activity = derived.active == passed_.active;
  if (same_activity && derived.time == passed_.time) return std::nullopt;
  if (same_activity && told.more_follows && now - passed_at_nanos_ < kIntervalNanos) {
    return std::nullopt;
  }
  passed_ = derived;
  passed_at_nanos_ = now;
  return derived;
}

// Partitions are followed behind their last records: a rest of a batch holds the watermark back.
void PartitionClocks::FollowPartitions() {
  for (; opened_seen_ < read().opened; ++opened_seen_) {
    Partition& partition = partitions_[opened_seen_];
    if (!partition.idle) least_first_.emplace(partition.watermark, opened_seen_);
  }
  for (; closed_seen_ < read().closed.size(); ++closed_seen_) {
    const auto closed = partitions_.find(read().closed[closed_seen_]);
    least_first_.erase({closed->second.watermark, closed->first});
    partitions_.erase(closed);
  }
}

void PartitionClocks::Advance(uint32_t number) {
  Partition& partition = partitions_[number];
  partition.has_news = false;
  const EventTime watermark = std::max(partition.watermark, Less(partition.latest, rule_.disorder));
  auto entry = least_first_.extract({partition.watermark, number});
  partition.watermark = watermark;
  partition.idle = false;
  if (number >= opened_seen_) return;  // FollowPartitions adds it
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
    const uint32_t number = least_first_.begin()->second;
    const int64_t since = read().empty_since[number];
    if (since == 0) break;  // it was not asked, or had records
    const int64_t idle_at = Alarm::Later(since, rule_.idle_nanos);
    if (idle_at > now) {
      alarm_.Set(now, idle_at);
      break;
    }
    partitions_[number].idle = true;
    of_last = least_first_.begin()->first;
    least_first_.erase(least_first_.begin());
  }
  return of_last;
}

}  // namespace headway::internal
