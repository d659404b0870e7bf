#ifndef HEADWAY_BENCH_HEADWAY_BENCH_COUNTING_TRANSPORT_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_COUNTING_TRANSPORT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "comm/wire/transport.h"

namespace headway::bench {

// The frames and bytes of progress that a process has sent, to all others together. Thread safe.
struct ProgressTraffic {
  std::atomic<uint64_t> frames{0};
  std::atomic<uint64_t> bytes{0};
};

// A transport that counts the frames that it sends.
class CountingTransport : public internal::Transport {
 public:
  // `traffic` outlives the transport.
  CountingTransport(std::unique_ptr<internal::Transport> transport, ProgressTraffic* traffic)
      : transport_(std::move(transport)), traffic_(*traffic) {}

  int process_id() const override { return transport_->process_id(); }
  int process_count() const override { return transport_->process_count(); }
  std::string Describe(int process) const override { return transport_->Describe(process); }
  void Send(int process, const internal::OutgoingFrame& frame) override {
    if (frame.frame_class == internal::FrameClass::kProgress) {
      traffic_.frames.fetch_add(1, std::memory_order_relaxed);
      traffic_.bytes.fetch_add(frame.head.size(), std::memory_order_relaxed);
    }
    transport_->Send(process, frame);
  }
  bool Flush() override { return transport_->Flush(); }
  size_t QueuedBytes(int process, internal::FrameClass frame_class) const override {
    return transport_->QueuedBytes(process, frame_class);
  }
  internal::BlockList TakeWritten() override { return transport_->TakeWritten(); }
  bool Poll(Handler& handler) override { return transport_->Poll(handler); }
  void Wait(std::optional<std::chrono::nanoseconds> timeout) override { transport_->Wait(timeout); }
  void Wake() override { transport_->Wake(); }
  void Close(absl::Duration timeout) override { transport_->Close(timeout); }

 private:
  const std::unique_ptr<internal::Transport> transport_;
  ProgressTraffic& traffic_;
};

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_COUNTING_TRANSPORT_H_
