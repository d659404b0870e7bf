#ifndef HEADWAY_OPERATORS_ASYNC_MAP_H_
#define HEADWAY_OPERATORS_ASYNC_MAP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "engine/step/define_step.h"
#include "engine/step/held_watermarks.h"
#include "engine/step/operator_builder.h"
#include "operators/call_pool.h"
#include "operators/value_or_status.h"

namespace headway {

// The calls of an AsyncMap, on each worker.
struct AsyncMapOptions {
  int concurrency = 16;  // calls at a time: the number of helper threads
  // Records that are called, wait for a thread, wait to be called again, or wait for the answers of
  // earlier records. At least `concurrency`.
  int max_pending = 256;
  // Of one call. With InfiniteDuration a call that never returns holds the run for ever.
  absl::Duration timeout = absl::Seconds(30);
  int max_attempts = 1;                              // 1: a call that fails is not repeated
  absl::Duration backoff = absl::Milliseconds(100);  // before the second call; then doubled
  bool ordered = true;                               // answers leave in the order of the records
};

namespace internal {

template <class D, class R>
struct AsyncCall final : CallPool::Call {
  std::optional<D> own_record;        // of the first attempt
  std::shared_ptr<AsyncCall> origin;  // the call that has the record
  std::optional<R> answer;

  const D& record() const { return origin == nullptr ? *own_record : *origin->own_record; }
};

template <class D, class R, class F>
class AsyncRunner final : public CallPool::Runner {
 public:
  explicit AsyncRunner(F f) : f_(std::move(f)) {}

  absl::Status Run(CallPool::Call& call) override {
    auto& typed = static_cast<AsyncCall<D, R>&>(call);
    try {
      auto answer = f_(typed.record());
      if constexpr (ValueOrStatus<decltype(answer)>::kMayFail) {
        if (!answer.ok()) return answer.status();
        typed.answer.emplace(*std::move(answer));
      } else {
        typed.answer.emplace(std::move(answer));
      }
      return absl::OkStatus();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("its function ran out of memory");
    } catch (const std::exception& error) {
      return absl::AbortedError(absl::StrCat("its function threw: ", error.what()));
    } catch (...) {
      return absl::AbortedError("its function threw an exception that is not a std::exception");
    }
  }

 private:
  F f_;
};

// The records of an AsyncMap on a worker, from their arrival to their answer.
template <class D, class R, class T>
class AsyncRecords {
  using Call = AsyncCall<D, R>;
  static constexpr int64_t kNever = CallPool::kNever;

 public:
  AsyncRecords(const AsyncMapOptions& options, Graph& graph, Node& node, const Activator& activator)
      : options_(options),
        errors_(graph.errors()),
        node_(node),
        activator_(activator),
        slots_(static_cast<size_t>(options.max_pending)) {
    for (size_t i = slots_.size(); i > 0; --i) free_.push_back(i - 1);
  }

  // The pool calls the function until this object is gone.
  template <class F>
  void Start(Clock& clock, F f) {
    clock_ = &clock;
    const auto threads = static_cast<size_t>(options_.concurrency);
    auto pool =
        CallPool::Start({.thread_count = threads,
                         .abandoned_max = threads * static_cast<size_t>(options_.max_attempts),
                         .timeout = options_.timeout},
                        clock, activator_.thread_activator(),
                        [f = std::move(f)] { return std::make_unique<AsyncRunner<D, R, F>>(f); });
    Check(pool.status());
    pool_ = *std::move(pool);
  }

  void Run(NodeInput<D, T>& in, NodeOutput<R, T>& out) {
    TakeEnded(out);
    ForgetAnswered(in);
    CallAgain();
    // More batches wait in the input, whose credit bounds them. A call that ends activates the
    // node.
    if (batches_.empty() && !free_.empty()) Take(in);
    CallNext();
    node_.takes_nothing = !batches_.empty() || free_.empty();
    SetAlarm();
  }

 private:
  // The records of a batch.
  struct Group {
    Capability<T> time;
    size_t unanswered;
    HeldWatermarks<T> watermarks = {};  // that came behind it
  };
  struct Waiting {
    std::shared_ptr<Group> group;
    Batch<D> batch;
    size_t next = 0;
  };
  struct Slot {
    std::shared_ptr<Call> call;
    std::shared_ptr<Group> group;
    int attempts = 0;
    bool answered = false;
  };

  void Take(NodeInput<D, T>& in) {
    in.ForEach(
        [&](const CapabilityRef<T>& time, Batch<D>& batch) {
          groups_.push_back(std::make_shared<Group>(Group{time.Retain(), batch.size()}));
          batches_.push_back({groups_.back(), std::move(batch)});
        },
        [&](const CapabilityRef<T>& time, const ArrivedWatermark& watermark) {
          if (groups_.empty()) {
            in.ApplyWatermark(time, watermark);
          } else {
            groups_.back()->watermarks.Hold(time.Retain(), watermark);
          }
        });
  }

  // Lets the watermarks pass whose earlier records are all answered.
  void ForgetAnswered(NodeInput<D, T>& in) {
    while (!groups_.empty() && groups_.front()->unanswered == 0) {
      groups_.front()->watermarks.Apply(in);
      groups_.pop_front();
    }
  }

  void CallNext() {
    while (!batches_.empty() && !free_.empty()) {
      Waiting& first = batches_.front();
      while (first.next < first.batch.size() && !free_.empty()) {
        const size_t number = free_.back();
        free_.pop_back();
        Slot& slot = slots_[number];
        if (slot.call == nullptr) slot.call = std::make_shared<Call>();
        slot.call->slot = number;
        slot.call->own_record.emplace(first.batch.Take(first.next++));
        slot.group = first.group;
        slot.attempts = 1;
        slot.answered = false;
        if (options_.ordered) order_.push_back(number);
        pool_->Add(slot.call);
      }
      if (first.next < first.batch.size()) return;
      batches_.pop_front();
    }
  }

  void TakeEnded(NodeOutput<R, T>& out) {
    ended_.clear();
    const absl::Status status = pool_->TakeEnded(ended_);
    for (CallPool::Ended& each : ended_) {
      Slot& slot = slots_[each.call->slot];
      if (!each.status.ok()) {
        Fail(each);
        continue;
      }
      each.call.reset();  // the slot has it
      slot.answered = true;
      if (!options_.ordered) Send(static_cast<size_t>(&slot - slots_.data()), out);
    }
    ended_.clear();
    Check(status);
    while (!order_.empty() && slots_[order_.front()].answered) {
      Send(order_.front(), out);
      order_.pop_front();
    }
  }

  void Send(size_t number, NodeOutput<R, T>& out) {
    Slot& slot = slots_[number];
    out.SessionAt(slot.group->time).Give(*std::move(slot.call->answer));
    if (--slot.group->unanswered == 0) slot.group->time.Drop();
    slot.group.reset();
    slot.call->answer.reset();
    slot.call->own_record.reset();
    // An abandoned call keeps its record, and is not used again.
    if (slot.call->origin != nullptr) slot.call.reset();
    free_.push_back(number);
  }

  void Fail(CallPool::Ended& ended) {
    Slot& slot = slots_[ended.call->slot];
    if (slot.attempts >= options_.max_attempts) {
      const std::string which =
          options_.max_attempts == 1
              ? std::string("the call failed: ")
              : absl::StrCat("the last of ", options_.max_attempts, " attempts failed: ");
      Check(absl::Status(ended.status.code(), which + std::string(ended.status.message())));
    }
    if (ended.abandoned) {
      auto again = std::make_shared<Call>();
      again->slot = ended.call->slot;
      again->origin = slot.call->origin == nullptr ? slot.call : slot.call->origin;
      slot.call = std::move(again);
    }
    const int64_t wait = absl::ToInt64Nanoseconds(
        options_.backoff * static_cast<double>(uint64_t{1} << std::min(slot.attempts - 1, 40)));
    int64_t at;
    if (__builtin_add_overflow(clock_->NowNanos(), wait, &at)) at = kNever - 1;
    ++slot.attempts;
    call_again_.emplace(at, ended.call->slot);
  }

  void CallAgain() {
    if (call_again_.empty()) return;
    const int64_t now = clock_->NowNanos();
    while (!call_again_.empty() && call_again_.begin()->first <= now) {
      pool_->Add(slots_[call_again_.begin()->second].call);
      call_again_.erase(call_again_.begin());
    }
  }

  void SetAlarm() {
    int64_t next = pool_->NextDeadline();
    if (!call_again_.empty()) next = std::min(next, call_again_.begin()->first);
    if (next == kNever) return;
    const int64_t now = clock_->NowNanos();
    if (alarm_ <= now) alarm_ = kNever;
    if (next >= alarm_) return;
    alarm_ = next;
    activator_.ActivateAfter(absl::Nanoseconds(std::max<int64_t>(next - now, 0)));
  }

  void Check(const absl::Status& status) {
    if (!status.ok()) errors_.FailAndThrow(node_.step_id(), status);
  }

  const AsyncMapOptions options_;
  StepErrors& errors_;
  Node& node_;
  const Activator activator_;
  Clock* clock_ = nullptr;
  std::deque<std::shared_ptr<Group>> groups_;  // in the order of their arrival
  std::deque<Waiting> batches_;                // that were taken from the input
  std::vector<Slot> slots_;
  std::vector<size_t> free_;                   // slots
  std::deque<size_t> order_;                   // slots in the order of their records, if ordered
  std::multimap<int64_t, size_t> call_again_;  // times and slots
  std::vector<CallPool::Ended> ended_;         // scratch
  int64_t alarm_ = kNever;                     // the next activation that was asked for
  std::unique_ptr<CallPool> pool_;             // destroyed first
};

}  // namespace internal

// Replaces each record by f(record), which may block: a request to a server, a query, a read from a
// disk. Stream<D> becomes Stream<R>, where f(const D&) returns R or absl::StatusOr<R>. Each worker
// has `concurrency` helper threads, which are started when the dataflow is built and joined when it
// is taken down. Each thread has a copy of `f`, so that a connection that belongs to a copy is used
// by one thread.
//
// Answers leave at the time of their records, and in their order, or with `ordered` false as they
// come. An epoch is not complete, and a watermark does not pass, before the records up to it are
// answered. While `max_pending` calls are
// unanswered the step takes no batches, and the steps before it wait for credit; it may have up to
// 32 batches then. It exchanges nothing.
//
// A call fails by an error status, an exception, or a timeout. It is repeated after `backoff`, up
// to `max_attempts` calls in all; then the run ends with the last error. A function that is to drop
// a record, or to pass its error on, returns a value that says so.
//
// A call cannot be interrupted. After its timeout its answer is dropped, and another thread takes
// the place of its thread, which ends when the function returns. If as many calls as `concurrency`
// * `max_attempts` do not return, the next one ends the run. The end of a run, a failure included,
// waits up to `timeout` for the calls that are under way. A thread that does not return then is
// left alone, so the objects that `f` refers to must outlive it. An attempt
// may begin while an earlier one of the same record is still under way.
//
// The step keeps no state. Records without an answer belong to an epoch that is not committed, so a
// run that resumes reads and calls them again: a call is made at least once. At the end of input,
// and at a graceful stop, the records in the step are answered.
//
// A call costs a hand-over between threads, some microseconds. Use Map for a function that does not
// block. InvalidArgument: an option is out of its range.
template <class F>
auto AsyncMap(std::string step_id, F f, AsyncMapOptions options = {}) {
  return DefineStep(
      std::move(step_id), std::move(f), options,
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, F call,
                           const AsyncMapOptions& of_step) {
        static_assert(std::is_copy_constructible_v<F>,
                      "AsyncMap: the function must be copyable, since each helper thread has a "
                      "copy; keep what cannot be copied in a std::shared_ptr");
        static_assert(std::is_invocable_v<F&, const D&>,
                      "AsyncMap: the function must take one record of the stream, by const "
                      "reference or by value");
        static_assert(!std::is_void_v<std::invoke_result_t<F&, const D&>>,
                      "AsyncMap: the function must return the new record, or an absl::StatusOr of "
                      "it");
        using Answer = std::remove_cvref_t<std::invoke_result_t<F&, const D&>>;
        using R = RecordOfT<typename internal::ValueOrStatus<Answer>::Value>;
        OperatorBuilder<T> builder(stream.scope(), id);
        if (of_step.concurrency < 1 || of_step.max_pending < of_step.concurrency ||
            of_step.max_attempts < 1 || of_step.timeout <= absl::ZeroDuration() ||
            of_step.backoff < absl::ZeroDuration()) {
          builder.graph().errors().FailAndThrow(
              builder.node().step_id(),
              absl::InvalidArgumentError(
                  "an option of AsyncMap is out of its range: concurrency and max_attempts are at "
                  "least 1, max_pending is at least concurrency, timeout is positive, and backoff "
                  "is not negative"));
        }
        NodeInput<D, T>& input = builder.AddInput(stream, pact::Pipeline{});
        NodeOutput<R, T>& output = builder.template AddOutput<R>();
        builder.IgnoreFrontier(0);
        auto records = std::make_unique<internal::AsyncRecords<D, R, T>>(
            of_step, builder.graph(), builder.node(), builder.activator());
        records->Start(*builder.context().clock, std::move(call));
        builder.BuildWithoutCapabilities(
            [&input, &output, records = std::move(records)] { records->Run(input, output); });
        return builder.StreamOf(output);
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_ASYNC_MAP_H_
