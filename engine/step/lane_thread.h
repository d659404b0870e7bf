#ifndef HEADWAY_ENGINE_STEP_LANE_THREAD_H_
#define HEADWAY_ENGINE_STEP_LANE_THREAD_H_

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/activator.h"
#include "engine/step/flush_state.h"
#include "engine/step/outbox_node.h"

namespace headway {

// A thread for the lane of a transactional sink (transactional_sink.h) whose outside system has
// calls that block. The lane publishes on it, and its worker does not wait. It starts with the
// first transaction.
//
//   class Publisher {  // a lane has a std::unique_ptr of it, since lanes are moved
//    public:
//     explicit Publisher(ThreadActivator activator)  // SinkContext::activator
//         : thread_([this](const Transaction& t) { return Commit(t); }, std::move(activator)) {}
//     absl::StatusOr<FlushState> Publish(const Transaction& transaction) {
//       return thread_.Publish(transaction);
//     }
//    private:
//     absl::Status Commit(const Transaction& transaction);
//     LaneThread thread_;  // the last member: it uses the others
//   };
//
// Belongs to the worker's thread, but for ends and Sleep.
class LaneThread {
 public:
  // publish(transaction) is called on the thread. An exception of it is thrown by Publish.
  using PublishFn = absl::AnyInvocable<absl::Status(const Transaction&)>;

  LaneThread(PublishFn publish, ThreadActivator activator);
  // Waits until the function has returned.
  ~LaneThread();
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;

  // As Lane::Publish. The thread wakes the step when the transaction is published.
  absl::StatusOr<FlushState> Publish(const Transaction& transaction);

  // The function is to return soon: its result is not needed any more. Then interrupt its calls,
  // and destroy the thread.
  void End();
  // True after End. Thread safe.
  bool ends() const { return ends_; }
  // Waits. Returns false, at once, after End. Thread safe.
  bool Sleep(absl::Duration duration);

 private:
  struct Outcome {
    absl::Status status;
    std::exception_ptr thrown;
  };

  void Run();
  Outcome Call(const Transaction& transaction);

  PublishFn publish_;  // the thread's
  const ThreadActivator activator_;
  std::atomic<bool> ends_{false};
  std::mutex mutex_;  // guards the members below, up to the thread
  std::condition_variable changed_;
  std::optional<Transaction> given_;
  std::optional<Outcome> outcome_;  // of the given one
  std::thread thread_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_LANE_THREAD_H_
