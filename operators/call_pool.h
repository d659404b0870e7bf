#ifndef HEADWAY_OPERATORS_CALL_POOL_H_
#define HEADWAY_OPERATORS_CALL_POOL_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "comm/system/clock.h"
#include "engine/step/activator.h"

namespace headway::internal {

// Runs calls of a user's function, which may block, on threads of its own: the threads of AsyncMap.
//
// A call that is still under way at its deadline is abandoned: its result is dropped, and another
// thread takes the place of its own, which ends when the function returns.
//
// Belongs to the worker's thread.
class CallPool {
 public:
  // A call. Shared by its owner and by the thread that makes it.
  struct Call {
    virtual ~Call() = default;

    size_t slot = 0;  // of the owner

   private:
    friend class CallPool;
    absl::Status status_;
    int64_t deadline_nanos_ = 0;
    bool abandoned_ = false;
  };

  // Makes the calls of one thread, with a copy of the user's function.
  class Runner {
   public:
    virtual ~Runner() = default;
    virtual absl::Status Run(Call& call) = 0;
  };

  struct Options {
    size_t thread_count = 1;
    size_t abandoned_max = 1;  // threads whose calls were abandoned and did not return
    absl::Duration timeout = absl::InfiniteDuration();  // of a call, from its start on
  };

  // A call that is over. An abandoned one may still use its record, and write its result.
  struct Ended {
    std::shared_ptr<Call> call;
    absl::Status status;
    bool abandoned;
  };

  // `wake` is activated when a call has returned. ResourceExhausted: a thread cannot be started.
  // REQUIRES: the clock outlives the pool.
  static absl::StatusOr<std::unique_ptr<CallPool>> Start(
      const Options& options, Clock& clock, ThreadActivator wake,
      absl::AnyInvocable<std::unique_ptr<Runner>()> make_runner);
  // Drops the calls that wait, and joins the threads. A call that is under way has `timeout` of the
  // system's clock to return; then its thread is detached.
  ~CallPool();
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  // Adds a call, which is made when a thread is free.
  void Add(std::shared_ptr<Call> call);
  // Appends the calls that have returned, and those that it abandons. ResourceExhausted: too many
  // threads are in calls that do not return, or a thread cannot be started.
  absl::Status TakeEnded(std::vector<Ended>& ended);
  // The time of the clock at which TakeEnded may abandon a call; kNever if no call has a deadline.
  int64_t NextDeadline() const;

  static constexpr int64_t kNever = INT64_MAX;

 private:
  struct State;
  struct Member;
  struct Thread {
    std::thread thread;
    std::shared_ptr<Member> member;
  };

  CallPool(const Options& options, std::shared_ptr<State> state,
           absl::AnyInvocable<std::unique_ptr<Runner>()> make_runner);
  absl::Status AddThread();
  void JoinEnded();

  const Options options_;
  const std::shared_ptr<State> state_;  // shared with the threads
  absl::AnyInvocable<std::unique_ptr<Runner>()> make_runner_;
  std::list<Thread> threads_;
};

}  // namespace headway::internal

#endif  // HEADWAY_OPERATORS_CALL_POOL_H_
