#include "engine/launch/status_text.h"

#include "absl/strings/str_format.h"

namespace headway::internal {
namespace {

// Three significant digits, as in 87, 12.3k and 1.25M.
std::string FormatRate(double rate) {
  if (rate < 999.5) return absl::StrFormat("%.0f", rate);
  const char* unit = "k";
  rate /= 1000;
  for (const char* larger : {"M", "G"}) {
    if (rate < 999.5) break;
    unit = larger;
    rate /= 1000;
  }
  return absl::StrFormat("%.*f%s", rate < 9.995 ? 2 : (rate < 99.95 ? 1 : 0), rate, unit);
}

std::string FormatBytes(int64_t bytes) {
  constexpr int64_t kKiB = 1024;
  constexpr int64_t kMiB = 1024 * kKiB;
  if (bytes < kKiB) return absl::StrFormat("%d B", bytes);
  if (bytes < kMiB) return absl::StrFormat("%.1f KiB", static_cast<double>(bytes) / kKiB);
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / kMiB);
}

}  // namespace

std::string StatusText::Update(const RunStatistics& statistics, absl::Duration now) {
  const double seconds = absl::ToDoubleSeconds(now - last_time_);
  const auto records = static_cast<double>(statistics.records - last_records_);
  last_time_ = now;
  last_records_ = statistics.records;
  std::string text = absl::StrFormat("epoch %d | %s records/s | %s in flight | lag %.1fs",
                                     statistics.epoch.value_or(statistics.source_epoch),
                                     FormatRate(seconds > 0 ? records / seconds : 0),
                                     FormatBytes(statistics.bytes_in_flight),
                                     absl::ToDoubleSeconds(Lag(statistics, now)));
  if (!statistics.stall.empty()) text += " | " + statistics.stall;
  return text;
}

absl::Duration StatusText::Lag(const RunStatistics& statistics, absl::Duration now) {
  if (arrivals_.empty() || arrivals_.back().source_epoch < statistics.source_epoch) {
    arrivals_.push_back({statistics.source_epoch, now});
  }
  while (!arrivals_.empty() &&
         (!statistics.epoch.has_value() || arrivals_.front().source_epoch <= *statistics.epoch)) {
    arrivals_.pop_front();
  }
  return arrivals_.empty() ? absl::ZeroDuration() : now - arrivals_.front().time;
}

}  // namespace headway::internal
