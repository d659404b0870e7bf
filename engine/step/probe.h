#ifndef HEADWAY_ENGINE_STEP_PROBE_H_
#define HEADWAY_ENGINE_STEP_PROBE_H_

#include <memory>
#include <optional>

#include "engine/graph/scope.h"
#include "engine/runtime/unattached_probe.h"

namespace headway {

namespace internal {
template <class T>
struct ProbeState {
  bool attached = false;
  std::optional<FrontierView<T>> frontier;  // empty once the dataflow is gone
};
}  // namespace internal

// Shows the host which times may still arrive at a stream; attached to it by the step Probe. A
// probe costs nothing while the dataflow runs. Copies observe the same stream. Belongs to its
// worker's thread. May outlive the dataflow, which then counts as complete.
template <class T = Epoch>
class ProbeHandle {
 public:
  // Moves copy: a handle always has a state.
  ProbeHandle() = default;
  ProbeHandle(const ProbeHandle&) = default;
  ProbeHandle& operator=(const ProbeHandle&) = default;

  // Returns true if records at a time earlier than `time` may still arrive.
  bool LessThan(const T& time) const {
    return state_->frontier.has_value() ? state_->frontier->LessThan(time) : IsUnattached();
  }
  // Returns true if records at `time` or earlier may still arrive.
  bool LessEqual(const T& time) const {
    return state_->frontier.has_value() ? state_->frontier->LessEqual(time) : IsUnattached();
  }
  // Returns true if no more records will arrive.
  bool Done() const {
    return state_->frontier.has_value() ? state_->frontier->empty() : !IsUnattached();
  }

  // The earliest times at which records may still arrive: one, or none, in the root scope; none if
  // no more records will arrive. That of a probe without a stream is the first time of all.
  Antichain<T> frontier() const {
    Antichain<T> times;
    if (state_->frontier.has_value()) {
      for (const T& time : state_->frontier->elements()) times.Insert(time);
    } else if (IsUnattached()) {
      times.Insert(TimestampTraits<T>::Minimum());
    }
    return times;
  }

  // Called by the step Probe. Attaching a handle again while its dataflow lives is an
  // InvalidArgument failure.
  template <class D>
  void Attach(const Stream<D, T>& stream) {
    if (state_->frontier.has_value()) {
      stream.scope().graph().errors().Fail(
          "", absl::InvalidArgumentError(
                  "a ProbeHandle is attached to two streams; use a handle for each"));
      return;
    }
    *state_ = {true, stream.scope().tracker().frontier(stream.location())};
    stream.scope().graph().objects().AtEnd([state = state_] { state->frontier.reset(); });
  }

 private:
  // The worker that waits for such a probe would wait for ever: it is told.
  bool IsUnattached() const {
    if (state_->attached) return false;
    internal::asked_unattached_probe = true;
    return true;
  }

  std::shared_ptr<internal::ProbeState<T>> state_ = std::make_shared<internal::ProbeState<T>>();
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_PROBE_H_
