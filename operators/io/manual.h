#ifndef HEADWAY_OPERATORS_IO_MANUAL_H_
#define HEADWAY_OPERATORS_IO_MANUAL_H_

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/codec/codec.h"
#include "engine/step/generator.h"
#include "engine/step/source.h"

namespace headway {

// The output of a ManualSource's coroutine, which gets a reference to it. Valid as long as the
// coroutine; belongs to its worker's thread.
template <class D>
class ManualOutput {
 public:
  ManualOutput() = default;
  ManualOutput(const ManualOutput&) = delete;
  ManualOutput& operator=(const ManualOutput&) = delete;

  // Emits a record in the current epoch.
  template <class U = D>
  void Emit(U&& record) {
    output_->Emit(std::forward<U>(record));
  }
  // Returns false when other steps are due: yield then. Every yield asks it, too.
  bool WantsMore() { return output_->WantsMore(); }
  // The current epoch. A yield may end it.
  Epoch epoch() const { return output_->epoch(); }

 private:
  template <class F>
  friend class ManualSource;

  SourceOutput<D>* output_ = nullptr;  // of the present poll
};

// A value that a ManualSource's coroutine yields.
template <class State>
class SourceYield {
 public:
  // The state from which to resume after the records that were emitted so far.
  SourceYield(State state) : value_(std::move(state)) {}  // NOLINT(google-explicit-constructor)
  // Idle, EndEpoch, AdvanceTo, Done or More. The state is the one that was yielded last.
  SourceYield(SourceState state) : value_(state) {}  // NOLINT(google-explicit-constructor)
  // A failure, which ends the run. OK has no effect.
  SourceYield(absl::Status status)  // NOLINT(google-explicit-constructor)
      : value_(std::move(status)) {}

 private:
  template <class F>
  friend class ManualSource;

  std::variant<State, SourceState, absl::Status> value_;
};

namespace internal {

// GCC 12 destroys a temporary aggregate in a co_yield expression twice. Such a type, or one that
// may be made of it, must not be yielded.
template <class T>
inline constexpr bool kOwningAggregate =
    std::is_aggregate_v<T> && !std::is_trivially_destructible_v<T>;
template <template <class...> class Of, class... T>
inline constexpr bool kOwningAggregate<Of<T...>> =
    (std::is_aggregate_v<Of<T...>> && !std::is_trivially_destructible_v<Of<T...>>) ||
    (kOwningAggregate<T> || ...);

template <class S, class I, class Yield>
struct ManualTypes {
  using State = S;
  using Item = I;
  using Coroutine = Generator<Yield>;
  static constexpr bool kYieldsItems = std::is_same_v<Yield, std::pair<S, I>>;
};

template <class F>
struct ManualFunction : ManualFunction<decltype(&F::operator())> {};
template <class F, class S, class I>
struct ManualFunction<Generator<std::pair<S, I>> (F::*)(int, int, std::optional<S>) const>
    : ManualTypes<S, I, std::pair<S, I>> {};
template <class F, class S, class I>
struct ManualFunction<Generator<std::pair<S, I>> (F::*)(int, int, std::optional<S>)>
    : ManualTypes<S, I, std::pair<S, I>> {};
template <class F, class S, class I>
struct ManualFunction<Generator<SourceYield<S>> (F::*)(int, int, std::optional<S>, ManualOutput<I>&)
                          const> : ManualTypes<S, I, SourceYield<S>> {};
template <class F, class S, class I>
struct ManualFunction<Generator<SourceYield<S>> (F::*)(
    int, int, std::optional<S>, ManualOutput<I>&)> : ManualTypes<S, I, SourceYield<S>> {};

}  // namespace internal

// A source written as a coroutine that runs on each worker: a lambda
//
//   [](int worker_index, int worker_count, std::optional<State> resume_state,
//      ManualOutput<Item>& out) -> Generator<SourceYield<State>> {
//     for (int64_t i = resume_state.value_or(0);; ++i) {
//       out.Emit(Item{...});
//       co_yield i + 1;  // the state from which to resume after the item
//     }
//   }
//
// It may also yield a SourceState, to be idle or to close an epoch, or an absl::Status, to fail. A
// yield is where other steps may run, so a coroutine yields after every few records. It should not
// wait for records: it yields Idle while there are none. If it waits all the same, its records move
// on and a graceful stop ends it when it yields.
//
// The short form takes no output, returns Generator<std::pair<State, Item>> and yields {state,
// item}. Neither may be an aggregate that owns memory.
//
// The state of each worker's coroutine is its position: a run that resumes needs the same number of
// workers. For any number of them, write a source of partitions (source.h).
//
// `epochs` takes precedence over RunOptions::epoch_config. The source has a copy of the lambda for
// each worker, which outlives the coroutine.
template <class F>
class ManualSource {
  using Types = internal::ManualFunction<F>;
  static constexpr bool kYieldsItems = Types::kYieldsItems;

 public:
  using State = typename Types::State;
  using Record = typename Types::Item;

  explicit ManualSource(F function, std::optional<EpochConfig> epochs = std::nullopt)
      : function_(std::move(function)), epochs_(std::move(epochs)) {
    static_assert(
        !kYieldsItems || !(internal::kOwningAggregate<State> || internal::kOwningAggregate<Record>),
        "ManualSource: a coroutine cannot yield an aggregate that owns memory, which GCC 12 "
        "destroys twice; take a ManualOutput<Item>& as the last parameter, emit the item to it, "
        "and yield the state");
  }

  std::optional<EpochConfig> epoch_config() const { return epochs_; }

  class Reader {
   public:
    // `position` is the encoding of `resume_state`.
    Reader(F function, const SourceContext& context, std::optional<State> resume_state,
           std::string position)
        : frame_(std::make_unique<Frame>(std::move(function))),
          coroutine_(Start(*frame_, context, std::move(resume_state))),
          position_(std::move(position)) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      frame_->output.output_ = &out;
      while (out.WantsMore()) {
        auto next = coroutine_.Next();
        if (!next.has_value()) return SourceState::Done();
        if constexpr (kYieldsItems) {
          state_ = std::move(next->first);
          out.Emit(std::move(next->second));
        } else if (auto* state = std::get_if<State>(&next->value_)) {
          state_ = std::move(*state);
        } else if (auto* source_state = std::get_if<SourceState>(&next->value_)) {
          return *source_state;
        } else if (auto& status = std::get<absl::Status>(next->value_); !status.ok()) {
          return std::move(status);
        }
      }
      return SourceState::More();
    }
    std::string Snapshot() const {
      if (!state_.has_value()) return position_;
      const std::vector<std::byte> bytes = EncodeToBytes(*state_);
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

   private:
    // The objects to which the coroutine refers.
    struct Frame {
      explicit Frame(F f) : function(std::move(f)) {}
      F function;
      ManualOutput<Record> output;
    };

    static typename Types::Coroutine Start(Frame& frame, const SourceContext& context,
                                           std::optional<State> resume_state) {
      const int worker = context.worker_index;
      const int workers = context.worker_count;
      if constexpr (kYieldsItems) {
        return frame.function(worker, workers, std::move(resume_state));
      } else {
        return frame.function(worker, workers, std::move(resume_state), frame.output);
      }
    }

    std::unique_ptr<Frame> frame_;
    typename Types::Coroutine coroutine_;
    std::string position_;        // until the coroutine yields its first state
    std::optional<State> state_;  // that was yielded last
  };

  absl::StatusOr<Reader> Open(const SourceContext& context,
                              std::optional<std::string> resume_state) {
    std::optional<State> state;
    if (resume_state.has_value() && !resume_state->empty()) {
      state.emplace();
      if (!DecodeFromBytes(std::as_bytes(std::span(*resume_state)), &*state)) {
        return absl::DataLossError(
            "the stored resume state cannot be decoded: it was written by another version of the "
            "source, or is damaged");
      }
    }
    return Reader(std::move(function_), context, std::move(state),
                  std::move(resume_state).value_or(""));
  }

 private:
  F function_;
  std::optional<EpochConfig> epochs_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_MANUAL_H_
