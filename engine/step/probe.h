#ifndef HEADWAY_ENGINE_STEP_PROBE_H_
#define HEADWAY_ENGINE_STEP_PROBE_H_

#include <memory>
#include <optional>

#include "engine/graph/scope.h"

namespace headway {

namespace internal {
template <class T>
struct ProbeState {
  bool attached = false;
  std::optional<FrontierView<T>> frontier;  // none once the dataflow has gone
};
}  // namespace internal

// Tells which times may still come at a place of a dataflow; attached to a stream by the step
// Probe. A probe costs nothing while the dataflow runs. Copies look at the same place. Belongs to
// its worker's thread; may outlive the dataflow, and then finds it complete.
template <class T = Epoch>
class ProbeHandle {
 public:
  // Whether a time earlier than `time` may still come.
  bool LessThan(const T& time) const {
    return state_->frontier.has_value() ? state_->frontier->LessThan(time) : !state_->attached;
  }
  // Whether `time`, or one before it, may still come.
  bool LessEqual(const T& time) const {
    return state_->frontier.has_value() ? state_->frontier->LessEqual(time) : !state_->attached;
  }
  // Whether nothing will come any more.
  bool Done() const {
    return state_->attached && (!state_->frontier.has_value() || state_->frontier->empty());
  }

  // Made by the step Probe. A handle looks at one place: attaching it again while its dataflow
  // lives is an InvalidArgument failure.
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
  std::shared_ptr<internal::ProbeState<T>> state_ = std::make_shared<internal::ProbeState<T>>();
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_PROBE_H_
