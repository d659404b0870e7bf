#ifndef HEADWAY_OPERATORS_IO_UNORDERED_INPUT_H_
#define HEADWAY_OPERATORS_IO_UNORDERED_INPUT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/runtime/concat.h"
#include "engine/step/activator.h"
#include "engine/step/operator_builder.h"

namespace headway {

// An input that the host feeds by hand, in any order of the times that it has not given up:
//
//   UnorderedInput<Event> events;
//   worker.Build("flow", [&](Scope<>& scope) { scope.Input("events", events) | ...; });
//   events.Send(7, late);   // at time 7
//   events.Send(3, early);
//   events.AdvanceTo(4);    // nothing more before 4
//
// Records wait in the input until the worker steps, and are sent then in batches of one time each.
// Copies share one input, which ends with Close or with the last copy. It feeds one dataflow, so
// make it in the program of Execute if the run may restart (RunOptions::restart).
// Belongs to its worker's thread.
template <class D>
class UnorderedInput {
 public:
  using Record = D;

  UnorderedInput() : handle_(std::make_shared<Handle>()) {}
  // Moves copy: an input always has a state.
  UnorderedInput(const UnorderedInput&) = default;
  UnorderedInput& operator=(const UnorderedInput&) = default;

  // The earliest time that is not given up. It begins with Worker::resume_epoch().
  Epoch time() const { return state().time; }

  // Sends a record at `time`. FailedPrecondition, without effect: the time was given up, or the
  // input is closed or part of no dataflow.
  absl::Status Send(Epoch time, D record) {
    if (absl::Status status = state().Check("Send", time); !status.ok()) return status;
    state().waiting[time].push_back(std::move(record));
    ++state().waiting_count;
    state().activator->Activate();
    return absl::OkStatus();
  }

  // Gives up the times before `time`. Errors are those of Send.
  absl::Status AdvanceTo(Epoch time) {
    if (absl::Status status = state().Check("AdvanceTo", time); !status.ok()) return status;
    state().time = time;
    state().activator->Activate();
    return absl::OkStatus();
  }

  // Ends the input. The records that wait are sent.
  void Close() { state().Close(); }

  // Returns false while many records wait, because the host did not step the worker or the dataflow
  // lacks credit. A host that may be faster than the dataflow steps the worker until it is true.
  bool HasCredit() const { return state().waiting_count < kMaxWaiting; }

  // Scope::Input calls it.
  Stream<D> AddTo(Scope<>& scope, std::string_view step_id) const {
    OperatorBuilder<Epoch> builder(scope, step_id);
    NodeOutput<D>& output = builder.template AddOutput<D>();
    const std::shared_ptr<State>& state = handle_->state;
    if (state->activator.has_value()) {
      scope.graph().errors().FailAndThrow(
          builder.node().step_id(),
          absl::FailedPreconditionError(
              "its UnorderedInput feeds another dataflow; use one for each input"));
    }
    builder.Build([&](std::vector<Capability<>> first) {
      state->activator.emplace(builder.activator());
      state->time = first[0].time();
      const std::shared_ptr<void> end(nullptr, [state](void*) { state->ended = true; });
      return [state, end, &output, held = std::move(first[0])]() mutable {
        if (held.held()) state->SendWaiting(output, held);
      };
    });
    return builder.StreamOf(output);
  }

 private:
  static constexpr size_t kMaxWaiting = 8192;

  struct State {
    absl::Status Check(const char* call, Epoch at) const {
      if (!activator.has_value()) {
        return absl::FailedPreconditionError(internal::Concat(
            {call,
             " was called on an UnorderedInput that is part of no dataflow yet; pass it to "
             "Scope::Input first"}));
      }
      if (closed || ended) {
        return absl::FailedPreconditionError(
            internal::Concat({call, " was called on an UnorderedInput ",
                              closed ? "that is closed" : "whose dataflow has ended"}));
      }
      if (at < time) {
        return absl::FailedPreconditionError(
            internal::Concat({call, " of time ", std::to_string(at),
                              " was called on an UnorderedInput that has given "
                              "up the times before ",
                              std::to_string(time)}));
      }
      return absl::OkStatus();
    }
    void Close() {
      closed = true;
      if (activator.has_value()) activator->Activate();
    }
    void SendWaiting(NodeOutput<D>& output, Capability<>& held) {
      // A function of the dataflow may send while these are sent.
      std::map<Epoch, std::vector<D>> sending = std::exchange(waiting, {});
      waiting_count = 0;
      for (auto& [at, records] : sending) {
        const Capability<> capability = held.Delayed(at);
        auto session = output.SessionAt(capability);
        for (D& record : records) session.Give(std::move(record));
      }
      if (closed && waiting.empty()) {
        held.Drop();
      } else {
        // A function may also have advanced, past the records that it sent before.
        held.Downgrade(waiting.empty() ? time : std::min(time, waiting.begin()->first));
      }
    }

    std::map<Epoch, std::vector<D>> waiting;
    size_t waiting_count = 0;  // records
    Epoch time = 0;
    std::optional<Activator> activator;  // none: part of no dataflow
    bool closed = false;
    bool ended = false;  // with the dataflow
  };
  // Shared by the copies.
  struct Handle {
    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { state->Close(); }
    const std::shared_ptr<State> state = std::make_shared<State>();
  };

  State& state() const { return *handle_->state; }

  std::shared_ptr<Handle> handle_;
};

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_UNORDERED_INPUT_H_
