#include "operators/call_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/runtime/status_macros.h"

namespace headway::internal {
namespace {

int64_t Later(int64_t now, absl::Duration wait) {
  int64_t later;
  return __builtin_add_overflow(now, absl::ToInt64Nanoseconds(wait), &later) ? CallPool::kNever
                                                                             : later;
}

}  // namespace

// The state of a thread. Guarded by State::mutex.
struct CallPool::Member {
  bool abandoned = false;
  bool ended = false;
};

struct CallPool::State {
  struct Running {
    std::shared_ptr<Call> call;
    std::shared_ptr<Member> member;
  };

  State(absl::Duration of_call, Clock& of_run, ThreadActivator of_owner)
      : timeout(of_call), clock(of_run), wake(std::move(of_owner)) {}

  void Run(Runner& runner, const std::shared_ptr<Member>& member);
  // Returns false if the call was abandoned.
  bool TakeBack(std::shared_ptr<Call> call, absl::Status status,
                std::unique_lock<std::mutex>& lock);

  const absl::Duration timeout;
  Clock& clock;  // not used once `ends` is set
  const ThreadActivator wake;
  std::mutex mutex;  // guards the members below
  std::condition_variable work;
  std::condition_variable thread_ended;
  std::deque<std::shared_ptr<Call>> waiting;
  std::vector<Running> running;  // without abandoned ones
  std::vector<std::shared_ptr<Call>> returned;
  size_t abandoned_count = 0;  // calls that did not return yet
  bool ends = false;
};

void CallPool::State::Run(Runner& runner, const std::shared_ptr<Member>& member) {
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [this] { return ends || !waiting.empty(); });
    if (ends) return;
    std::shared_ptr<Call> call = std::move(waiting.front());
    waiting.pop_front();
    call->deadline_nanos_ =
        timeout == absl::InfiniteDuration() ? kNever : Later(clock.NowNanos(), timeout);
    running.push_back({call, member});
    lock.unlock();
    absl::Status status = runner.Run(*call);
    lock.lock();
    if (!TakeBack(std::move(call), std::move(status), lock)) return;
  }
}

bool CallPool::State::TakeBack(std::shared_ptr<Call> call, absl::Status status,
                               std::unique_lock<std::mutex>& lock) {
  if (call->abandoned_) {
    --abandoned_count;
    return false;
  }
  std::erase_if(running, [&](const Running& each) { return each.call == call; });
  call->status_ = std::move(status);
  returned.push_back(std::move(call));
  if (returned.size() == 1) {  // the owner knows of the first one
    lock.unlock();
    wake.Activate();
    lock.lock();
  }
  return true;
}

absl::StatusOr<std::unique_ptr<CallPool>> CallPool::Start(
    const Options& options, Clock& clock, ThreadActivator wake,
    absl::AnyInvocable<std::unique_ptr<Runner>()> make_runner) {
  auto state = std::make_shared<State>(options.timeout, clock, std::move(wake));
  std::unique_ptr<CallPool> pool(new CallPool(options, std::move(state), std::move(make_runner)));
  for (size_t i = 0; i < options.thread_count; ++i) HEADWAY_RETURN_IF_ERROR(pool->AddThread());
  return pool;
}

CallPool::CallPool(const Options& options, std::shared_ptr<State> state,
                   absl::AnyInvocable<std::unique_ptr<Runner>()> make_runner)
    : options_(options), state_(std::move(state)), make_runner_(std::move(make_runner)) {}

CallPool::~CallPool() {
  std::unique_lock lock(state_->mutex);
  state_->ends = true;
  state_->waiting.clear();
  state_->returned.clear();
  state_->work.notify_all();
  auto all_ended = [this] {
    return std::ranges::all_of(
        threads_, [](const Thread& each) { return each.member->ended || each.member->abandoned; });
  };
  if (options_.timeout == absl::InfiniteDuration()) {
    state_->thread_ended.wait(lock, all_ended);
  } else {
    state_->thread_ended.wait_for(lock, absl::ToChronoNanoseconds(options_.timeout), all_ended);
  }
  lock.unlock();
  JoinEnded();
  for (Thread& each : threads_) each.thread.detach();
}

absl::Status CallPool::AddThread() {
  auto member = std::make_shared<Member>();
  std::unique_ptr<Runner> runner = make_runner_();
  try {
    std::thread thread([state = state_, member, runner = std::move(runner)]() mutable {
      state->Run(*runner, member);
      runner.reset();  // the user's function goes before the pool does
      {
        std::lock_guard lock(state->mutex);
        member->ended = true;
      }
      state->thread_ended.notify_all();
    });
    threads_.push_back({std::move(thread), std::move(member)});
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a thread for its calls cannot be started (", error.what(),
                     "); reduce the concurrency, or allow more threads"));
  }
  return absl::OkStatus();
}

void CallPool::JoinEnded() {
  std::erase_if(threads_, [this](Thread& each) {
    {
      std::lock_guard lock(state_->mutex);
      if (!each.member->ended) return false;
    }
    each.thread.join();
    return true;
  });
}

void CallPool::Add(std::shared_ptr<Call> call) {
  {
    std::lock_guard lock(state_->mutex);
    state_->waiting.push_back(std::move(call));
  }
  state_->work.notify_one();
}

absl::Status CallPool::TakeEnded(std::vector<Ended>& ended) {
  size_t abandoned = 0;
  {
    std::lock_guard lock(state_->mutex);
    for (std::shared_ptr<Call>& call : state_->returned) {
      absl::Status status = std::exchange(call->status_, absl::OkStatus());
      ended.push_back({std::move(call), std::move(status), false});
    }
    state_->returned.clear();
    if (options_.timeout == absl::InfiniteDuration() || state_->running.empty()) {
      return absl::OkStatus();
    }
    const int64_t now = state_->clock.NowNanos();
    std::erase_if(state_->running, [&](State::Running& each) {
      if (each.call->deadline_nanos_ > now) return false;
      each.call->abandoned_ = true;
      each.member->abandoned = true;
      ended.push_back({std::move(each.call),
                       absl::DeadlineExceededError(absl::StrCat(
                           "it did not return within ", absl::FormatDuration(options_.timeout))),
                       true});
      ++abandoned;
      return true;
    });
    if (abandoned == 0) return absl::OkStatus();
    state_->abandoned_count += abandoned;
    if (state_->abandoned_count > options_.abandoned_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat(state_->abandoned_count, " threads are in calls that did not return within ",
                       absl::FormatDuration(options_.timeout),
                       "; give the function a time limit of its own, so that it returns"));
    }
  }
  JoinEnded();
  for (size_t i = 0; i < abandoned; ++i) HEADWAY_RETURN_IF_ERROR(AddThread());
  return absl::OkStatus();
}

int64_t CallPool::NextDeadline() const {
  if (options_.timeout == absl::InfiniteDuration()) return kNever;
  std::lock_guard lock(state_->mutex);
  int64_t next = kNever;
  // A call that waits may start at any moment, and nobody says so.
  if (!state_->waiting.empty()) next = Later(state_->clock.NowNanos(), options_.timeout);
  for (const State::Running& each : state_->running) {
    next = std::min(next, each.call->deadline_nanos_);
  }
  return next;
}

}  // namespace headway::internal
