#include "engine/stall_watch.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/graph/source_control.h"
#include "engine/graph/stall.h"
#include "engine/runtime/unattached_probe.h"

namespace headway::internal {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStallAfterNanos = 3 * kSecond;
constexpr int64_t kMinPeriodNanos = kSecond;
// A worker that has long been idle looks seldom, and a stall is logged again seldom.
constexpr int64_t kMaxPeriodNanos = 60 * kSecond;

// Returns true if the dataflow has a source here that may be polled.
bool HasSourceToPoll(const Graph& graph) {
  return std::ranges::any_of(graph.parts().sources, [](SourceControl* source) {
    return !source->ended() && !source->AwaitedEpoch().has_value();
  });
}

}  // namespace

absl::Duration StallWatch::BeforeSleep(bool worked, bool needs_message, const Graphs& graphs) {
  if (WaitsForUnattachedProbe(worked, needs_message)) return absl::ZeroDuration();
  const int64_t now = worker_.NowNanos();
  if (worked || idle_since_nanos_ == kNever) {
    idle_since_nanos_ = now;
    period_nanos_ = kMinPeriodNanos;
    is_explained_ = false;
    next_look_nanos_ = std::min(std::max(next_look_nanos_, now), now + period_nanos_);
  }
  if (now >= next_look_nanos_) {
    Look(now, needs_message, graphs);
    next_look_nanos_ = now + period_nanos_;
  }
  const bool is_idle = now - idle_since_nanos_ >= kStallAfterNanos;
  if (is_idle || posted_ || !sentence_.empty()) {
    const bool is_stuck = is_idle && is_explained_ && IsStuck(needs_message, graphs);
    const std::optional<std::string> proved = worker_.attempt().stall_board().Put(
        worker_.local_index(), {.sentence = sentence_, .is_here = is_here_, .is_stuck = is_stuck});
    posted_ = is_stuck || !sentence_.empty();
    // The others send nothing more, so a message would be here already.
    if (proved.has_value() && !worker_.endpoint().HasIncoming()) {
      worker_.attempt().failure().Report(absl::FailedPreconditionError(absl::StrCat(
          *proved, ". All workers sleep, and no timer, source or other thread can wake them")));
    } else {
      LogOnce(now);
    }
  }
  // A worker that has nothing left to do still has to tell the others that it is stuck.
  if (graphs.empty() && !host_has_returned_) return absl::InfiniteDuration();
  return absl::Nanoseconds(next_look_nanos_ - now);
}

void StallWatch::AfterSleep() {
  if (posted_) worker_.attempt().stall_board().Withdraw(worker_.local_index());
}

// The host asks again after a sleep of no time: the first question may be an old one.
bool StallWatch::WaitsForUnattachedProbe(bool worked, bool needs_message) {
  const bool asked = std::exchange(asked_unattached_probe, false) && needs_message;
  if (std::exchange(asked_unattached_, asked) && asked && !worked) {
    worker_.attempt().failure().Report(absl::FailedPreconditionError(absl::StrCat(
        worker_.attempt().Describe(worker_.index()),
        " waits for a ProbeHandle that is attached to no stream, so it never sees a time complete; "
        "attach it with Probe(handle) in the function that builds the dataflow")));
  }
  return asked;
}

void StallWatch::Look(int64_t now, bool needs_message, const Graphs& graphs) {
  sentence_.clear();
  is_explained_ = true;
  std::erase_if(waits_, [&](const auto& wait) { return !graphs.contains(wait.first); });
  bool any_suspect = false;
  for (const auto& [id, graph] : graphs) {
    const bool is_suspect = IsSuspect(now, needs_message, *graph);
    any_suspect |= is_suspect;
    const auto wait = waits_.find(id);
    const int64_t since = wait != waits_.end() ? wait->second.since_nanos : idle_since_nanos_;
    if (!is_suspect) continue;
    if (now - since < kStallAfterNanos) {
      is_explained_ = false;
      continue;
    }
    if (!sentence_.empty()) continue;
    Stall stall = FindStall(*graph);
    sentence_ = std::move(stall.sentence);
    is_here_ = stall.is_here;
    stalled_since_nanos_ = since;
  }
  if (!any_suspect || !sentence_.empty()) {
    period_nanos_ = std::min(2 * period_nanos_, kMaxPeriodNanos);
  }
}

// Notes how long its first source that waits has waited.
bool StallWatch::IsSuspect(int64_t now, bool needs_message, Graph& graph) {
  const Completion& completion = graph.completion();
  if (completion.is_watched() && !completion.frontier().LessThan(kStopEpoch)) return false;
  for (SourceControl* source : graph.parts().sources) {
    const std::optional<Epoch> awaited = source->AwaitedEpoch();
    if (!awaited.has_value()) continue;
    auto [wait, is_new] = waits_.try_emplace(graph.id(), Wait{*awaited, now});
    if (!is_new && wait->second.epoch != *awaited) wait->second = {*awaited, now};
    return true;
  }
  waits_.erase(graph.id());
  return needs_message && !HasSourceToPoll(graph);
}

bool StallWatch::IsStuck(bool needs_message, const Graphs& graphs) {
  if (!needs_message || !host_has_returned_) return false;
  if (worker_.run().topology().process_count > 1) return false;  // a frame may be under way
  if (worker_.attempt().activation_gate().use_count() > 1) return false;
  if (!worker_.endpoint().Flush()) return false;
  return std::ranges::all_of(graphs, [](const auto& entry) {
    Graph& graph = *entry.second;
    return !graph.HasWork() && graph.credit().empty() && !HasSourceToPoll(graph);
  });
}

// Of all workers only the one with the best sentence logs it. A worker that does not hold the
// dataflow back leaves the others time to post.
void StallWatch::LogOnce(int64_t now) {
  if (sentence_.empty()) return;
  if (!is_here_ && now - stalled_since_nanos_ < 2 * kStallAfterNanos) return;
  if (logged_ == sentence_ && now - logged_nanos_ < kMaxPeriodNanos) return;
  if (worker_.attempt().stall_board().Sentence() != sentence_) return;
  logged_ = sentence_;
  logged_nanos_ = now;
  Log(worker_.run().options().log_hook, LogSeverity::kWarning, sentence_);
}

}  // namespace headway::internal
