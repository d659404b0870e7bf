#include "engine/step/lane_thread.h"

#include <utility>

namespace headway {

LaneThread::LaneThread(PublishFn publish, ThreadActivator activator)
    : publish_(std::move(publish)), activator_(std::move(activator)) {}

LaneThread::~LaneThread() {
  End();
  if (thread_.joinable()) thread_.join();
}

void LaneThread::End() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
}

absl::StatusOr<FlushState> LaneThread::Publish(const Transaction& transaction) {
  const std::lock_guard lock(mutex_);
  if (outcome_.has_value()) {
    Outcome outcome = *std::exchange(outcome_, std::nullopt);
    given_.reset();
    if (outcome.thrown != nullptr) std::rethrow_exception(outcome.thrown);
    if (!outcome.status.ok()) return outcome.status;
    return FlushState::Done();
  }
  if (!given_.has_value()) {
    given_ = transaction;
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
    changed_.notify_all();
  }
  return FlushState::Pending(absl::Seconds(1));  // the thread wakes the step earlier
}

bool LaneThread::Sleep(absl::Duration duration) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(duration), [&] { return ends(); });
  return !ends();
}

void LaneThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ends() || (given_.has_value() && !outcome_.has_value()); });
    if (ends()) return;
    const Transaction transaction = *given_;
    lock.unlock();
    Outcome outcome = Call(transaction);
    lock.lock();
    outcome_ = std::move(outcome);
    activator_.Activate();
  }
}

LaneThread::Outcome LaneThread::Call(const Transaction& transaction) {
  try {
    return {publish_(transaction), nullptr};
  } catch (...) {
    return {absl::OkStatus(), std::current_exception()};
  }
}

}  // namespace headway
