#ifndef HEADWAY_OPERATORS_IO_MANUAL_H_
#define HEADWAY_OPERATORS_IO_MANUAL_H_

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "comm/codec/codec.h"
#include "engine/step/generator.h"
#include "engine/step/source.h"

namespace headway {

namespace internal {

template <class F>
struct ManualFunction : ManualFunction<decltype(&F::operator())> {};
template <class F, class State, class Item>
struct ManualFunction<Generator<std::pair<State, Item>> (F::*)(int, int, std::optional<State>)
                          const> {
  using StateType = State;
  using ItemType = Item;
};
template <class F, class State, class Item>
struct ManualFunction<Generator<std::pair<State, Item>> (F::*)(int, int, std::optional<State>)> {
  using StateType = State;
  using ItemType = Item;
};

}  // namespace internal

// A source written as a coroutine: a lambda `(int worker_index, int worker_count,
// std::optional<State> resume_state) -> Generator<std::pair<State, Item>>`. It runs on each worker
// and yields (state, item): the item, and the state from which to resume after the item. The source
// has a copy of the lambda for each worker, which outlives the coroutine. The coroutine must not
// block; a source that waits for its records needs a reader of its own (engine/step/source.h).
template <class F>
class ManualSource {
 public:
  using State = typename internal::ManualFunction<F>::StateType;
  using Record = typename internal::ManualFunction<F>::ItemType;

  explicit ManualSource(F function) : function_(std::move(function)) {}

  class Reader {
   public:
    Reader(F function, const SourceContext& context, std::optional<State> resume_state)
        : function_(std::make_unique<F>(std::move(function))),
          generator_(
              (*function_)(context.worker_index, context.worker_count, std::move(resume_state))) {}

    absl::StatusOr<SourceState> Poll(SourceOutput<Record>& out) {
      while (out.WantsMore()) {
        std::optional<std::pair<State, Record>> next = generator_.Next();
        if (!next.has_value()) return SourceState::Done();
        state_ = std::move(next->first);
        out.Emit(std::move(next->second));
      }
      return SourceState::More();
    }
    std::string Snapshot() const {
      if (!state_.has_value()) return {};
      const std::vector<std::byte> bytes = EncodeToBytes(*state_);
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }

   private:
    std::unique_ptr<F> function_;
    Generator<std::pair<State, Record>> generator_;
    std::optional<State> state_;
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
    return Reader(std::move(function_), context, std::move(state));
  }

 private:
  F function_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_MANUAL_H_
