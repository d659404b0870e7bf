#include "engine/network/incoming_progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "comm/wire/wire_generated.h"
#include "progress/compact_rounds.h"
#include "progress/round_sum.h"

namespace headway::internal {
namespace {

// Delayed rounds of a dataflow above the first limit are summed. If their sum is above the second,
// the run fails. Rounds of dataflows that are not built here cannot be summed; the second limit is
// that of all of them together.
constexpr size_t kSumDelayedBytes = size_t{1} << 20;
constexpr size_t kMaxDelayedBytes = size_t{64} << 20;

}  // namespace

void IncomingProgress::Deliver(int process, const wire::Frame& frame) {
  const auto& rounds = *frame.body_as_Progress()->rounds();
  CompactRoundsReader reader({reinterpret_cast<const std::byte*>(rounds.data()), rounds.size()});
  uint32_t dataflow = 0;
  while (!peers_.attempt().failure().occurred() &&
         reader.Next(kMaxDelayedBytes, &dataflow, &round_)) {
    DeliverRound(process, dataflow, round_);
  }
  if (reader.malformed()) peers_.Refuse(process, "a malformed progress frame");
}

void IncomingProgress::DeliverRound(int process, uint32_t dataflow,
                                    std::span<const std::byte> round) {
  if (!graphs_.Knows(process, dataflow)) {
    peers_.Refuse(process, "progress of a dataflow that it has not announced");
    return;
  }
  // The process sent it before it learned that the dataflow is complete.
  if (table_.IsForgotten(dataflow)) return;
  // Workers check the rounds of dataflows that are not built here yet.
  if (table_.IsBuilt(dataflow) && !table_.At(dataflow).outgoing->Accepts(round)) {
    peers_.Refuse(process, "progress that does not fit its dataflow");
    return;
  }
  if (delaying() || !endpoint_.TryPublishProgress(dataflow, round)) Delay(dataflow, round);
}

// While one round is delayed, later ones of all dataflows queue behind it.
void IncomingProgress::Delay(uint32_t id, std::span<const std::byte> round) {
  DataflowProgress& dataflow = table_.AtOrNew(id);
  std::vector<std::byte>& delayed = dataflow.delayed;
  if (delayed.empty()) with_delayed_.push_back(id);
  if (delayed.size() + round.size() > kMaxDelayedBytes) SumDelayed(dataflow);
  if (!table_.IsBuilt(id)) {
    dataflow.delayed_unbuilt_bytes += round.size();
    unbuilt_bytes_ += round.size();
  }
  if (std::max(delayed.size() + round.size(), unbuilt_bytes_) > kMaxDelayedBytes) {
    peers_.attempt().failure().Report(absl::ResourceExhaustedError(absl::StrFormat(
        "process %d: a worker does not keep up with the progress of the other processes, which no "
        "longer fits in %d bytes",
        peers_.topology().process, kMaxDelayedBytes)));
    return;
  }
  delayed.insert(delayed.end(), round.begin(), round.end());
  if (delayed.size() > std::max(kSumDelayedBytes, 2 * dataflow.delayed_sum_bytes)) {
    SumDelayed(dataflow);
  }
}

void IncomingProgress::SumDelayed(DataflowProgress& dataflow) {
  if (!dataflow.outgoing.has_value()) return;
  const std::span<const uint32_t> change_bytes = dataflow.outgoing->change_bytes();
  RoundSum sum({change_bytes.begin(), change_bytes.end()});
  if (!sum.Accepts(dataflow.delayed)) return;
  sum.AddMany(dataflow.delayed);
  const std::span<const std::byte> net = sum.Net();
  dataflow.delayed.assign(net.begin(), net.end());
  dataflow.delayed_sum_bytes = net.size();
}

void IncomingProgress::DeliverDelayed() {
  while (delaying()) {
    const uint32_t id = with_delayed_.front();
    DataflowProgress& dataflow = table_.At(id);
    if (!endpoint_.TryPublishProgress(id, dataflow.delayed)) return;
    dataflow.delayed.clear();
    dataflow.delayed_sum_bytes = 0;
    unbuilt_bytes_ -= std::exchange(dataflow.delayed_unbuilt_bytes, 0);
    with_delayed_.pop_front();
  }
}

}  // namespace headway::internal
