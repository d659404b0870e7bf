#include "comm/local/flow_control.h"

#include "check.h"
#include "comm/local/parker.h"

namespace headway::internal {

FlowControl::FlowControl(int workers, int64_t max_bytes_in_flight)
    : workers_(workers),
      max_bytes_in_flight_(max_bytes_in_flight),
      look_interval_(max_bytes_in_flight / (int64_t{8} * workers)),
      counters_(std::make_unique<Counters[]>(static_cast<size_t>(workers))) {
  HEADWAY_CHECK(workers >= 1 && max_bytes_in_flight >= 0);
}

int64_t FlowControl::Sent() const {
  int64_t sent = 0;
  for (int worker = 0; worker < workers_; ++worker) sent += counters_[worker].sent.Get();
  return sent;
}

int64_t FlowControl::Taken() const {
  int64_t taken = 0;
  for (int worker = 0; worker < workers_; ++worker) taken += counters_[worker].taken.Get();
  return taken;
}

// Reads the taken bytes first: each byte in that sum was sent before, and is in the second sum too.
int64_t FlowControl::InFlight() const {
  const int64_t taken = Taken();
  return Sent() - taken;
}

int64_t FlowControl::InFlightAtLeast() const {
  const int64_t sent = Sent();
  return sent - Taken();
}

void FlowControl::SetStarving() {
  starving_.exchange(true, std::memory_order_seq_cst);
  Parker::Fence();
}

#ifdef HEADWAY_THREAD_SANITIZER
bool FlowControl::TakeStarvingBeforePark() {
  return starving_.exchange(false, std::memory_order_seq_cst);
}
#else
bool FlowControl::TakeStarvingBeforePark() {
  Parker::Fence();
  return TakeStarving();
}
#endif

bool FlowControl::View::Look() {
  const int64_t in_flight = flow_control_->InFlight();
  const int64_t unseen = flow_control_->look_interval_ * flow_control_->workers_;
  sent_at_look_ = own_sent_->Get();
  has_room_ = in_flight < flow_control_->max_bytes_in_flight_ &&
              in_flight + unseen <= flow_control_->max_bytes_in_flight_;
  return has_room_;
}

ChannelCredits::ChannelCredits(int workers)
    : workers_(workers),
      lines_per_row_((static_cast<size_t>(workers) + kCountersPerLine) / kCountersPerLine),
      rows_(std::make_unique<Line[]>(static_cast<size_t>(workers) * lines_per_row_)) {
  HEADWAY_CHECK(workers >= 1);
}

int64_t ChannelCredits::InFlight(int sender) const {
  int64_t taken = 0;
  for (int receiver = 0; receiver < workers_; ++receiver) taken += At(receiver, sender).Get();
  return At(sender, workers_).Get() - taken;
}

int64_t ChannelCredits::Sent() const {
  int64_t sent = 0;
  for (int sender = 0; sender < workers_; ++sender) sent += At(sender, workers_).Get();
  return sent;
}

int64_t ChannelCredits::Taken() const {
  int64_t taken = 0;
  for (int receiver = 0; receiver < workers_; ++receiver) {
    for (int sender = 0; sender < workers_; ++sender) taken += At(receiver, sender).Get();
  }
  return taken;
}

}  // namespace headway::internal
