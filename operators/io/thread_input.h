#ifndef HEADWAY_OPERATORS_IO_THREAD_INPUT_H_
#define HEADWAY_OPERATORS_IO_THREAD_INPUT_H_

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine/step/source.h"

namespace headway {

// A source that any thread feeds, before the dataflow runs or while it does:
//
//   ThreadInput<Order> orders;
//   Dataflow flow("shop", [orders](Scope<>& scope) { scope.Input("orders", orders) | ...; });
//   std::thread feeder([orders] { ... orders.Send(order); ... orders.Close(); });
//
// Copies share one buffer. The first worker of the process empties it and emits the records, those
// of one thread in the order in which it sent them; exchange them to use all workers. A full buffer
// blocks the senders, so a slow dataflow slows them down. Before the dataflow runs nobody empties
// the buffer: a thread that is to start the run sends at most `max_records` before, by TrySend. An
// input feeds one dataflow.
//
// Close ends the input: the records that wait are emitted first. A graceful stop, a failure and
// Worker::Cancel drop them. To lose nothing, close the input and let the run end by itself.
//
// ThreadInput keeps no position: in a run with recovery its records after the last commit are lost,
// and a run with it cannot be restarted by RunOptions::restart.
//
// Thread safe.
template <class D>
class ThreadInput {
 public:
  using Record = D;

  // The buffer holds at most `max_records` records (at least 1) that the worker has not taken. The
  // worker takes all of them at once.
  explicit ThreadInput(size_t max_records = kDefaultRecords)
      : state_(std::make_shared<State>(std::max<size_t>(max_records, 1))) {}

  // Sends a record. Blocks while the buffer is full. FailedPrecondition, without effect: the input
  // is closed, the dataflow has ended, or the buffer is full and the caller is on the thread of the
  // worker that empties it, which would wait for itself.
  absl::Status Send(D record) const {
    std::unique_lock lock(state_->mutex);
    while (state_->Full()) {
      if (state_->worker == std::this_thread::get_id()) {
        return absl::FailedPreconditionError(
            "the ThreadInput is full, and the calling thread is the worker that empties it; use "
            "TrySend, and step the worker");
      }
      state_->room.wait(lock);
    }
    if (state_->closed) {
      return absl::FailedPreconditionError(state_->ended
                                               ? "the dataflow of the ThreadInput has ended"
                                               : "the ThreadInput is closed");
    }
    state_->Add(std::move(record), lock);
    return absl::OkStatus();
  }

  // Sends a record without blocking. Returns false, and leaves the record as it is, if the buffer
  // is full or the input is closed.
  template <class U>
  bool TrySend(U&& record) const {
    std::unique_lock lock(state_->mutex);
    if (state_->closed || state_->Full()) return false;
    state_->Add(std::forward<U>(record), lock);
    return true;
  }

  // Ends the input. Blocked senders return.
  void Close() const {
    ThreadActivator activator;
    {
      std::lock_guard lock(state_->mutex);
      state_->closed = true;
      activator = state_->activator;
    }
    state_->room.notify_all();
    activator.Activate();
  }

  // Returns true once Close was called or the dataflow has ended.
  bool closed() const {
    std::lock_guard lock(state_->mutex);
    return state_->closed;
  }

 private:
  static constexpr size_t kDefaultRecords = 1024;

  struct State {
    explicit State(size_t max) : max_records(max) {}

    bool Full() const { return !closed && waiting.size() >= max_records; }
    // Unlocks.
    template <class U>
    void Add(U&& record, std::unique_lock<std::mutex>& lock) {
      waiting.emplace_back(std::forward<U>(record));
      if (waiting.size() > 1) return;  // the worker knows of the first one
      const ThreadActivator wake = activator;
      lock.unlock();
      wake.Activate();
    }
    // Replaces `taken` by the records that wait. Returns false if no more will follow.
    bool Take(std::vector<D>& taken) {
      taken.clear();
      std::lock_guard lock(mutex);
      taken.swap(waiting);
      if (!taken.empty()) room.notify_all();
      return !closed || !taken.empty();
    }
    void End() {
      {
        std::lock_guard lock(mutex);
        closed = true;
        ended = true;
        waiting.clear();
      }
      room.notify_all();
    }

    const size_t max_records;
    std::mutex mutex;              // guards the members below
    std::condition_variable room;  // for blocked senders
    std::vector<D> waiting;        // oldest first
    bool closed = false;
    bool ended = false;                     // with the dataflow
    std::optional<std::thread::id> worker;  // that empties the buffer; none: not open yet
    ThreadActivator activator;              // of the reader, once it is open
  };

 public:
  class Reader {
   public:
    // `state` is null on a worker that has no part of the input.
    explicit Reader(std::shared_ptr<State> state) : state_(std::move(state)) {}
    Reader(Reader&&) noexcept = default;
    Reader& operator=(Reader&&) = delete;
    ~Reader() {
      if (state_ != nullptr) state_->End();
    }

    absl::StatusOr<SourceState> Poll(SourceOutput<D>& out) {
      if (state_ == nullptr) return SourceState::Done();
      while (true) {
        for (; next_ < taken_.size(); ++next_) {
          if (!out.WantsMore()) return SourceState::More();
          out.Emit(D(std::move(taken_[next_])));
        }
        next_ = 0;
        if (!state_->Take(taken_)) {
          state_ = nullptr;  // it was closed; the dataflow may continue
          return SourceState::Done();
        }
        if (taken_.empty()) return SourceState::Idle(absl::InfiniteDuration());
      }
    }

   private:
    std::shared_ptr<State> state_;
    std::vector<D> taken_;
    size_t next_ = 0;  // of taken_
  };

  absl::StatusOr<Reader> Open(const SourceContext& context, std::optional<std::string>) {
    if (context.local_worker_index != 0) return Reader(nullptr);
    std::lock_guard lock(state_->mutex);
    if (state_->worker.has_value()) {
      return absl::FailedPreconditionError(
          "its ThreadInput feeds another dataflow; use one for each input of a run");
    }
    state_->worker = std::this_thread::get_id();
    state_->activator = context.activator;
    return Reader(state_);
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_THREAD_INPUT_H_
