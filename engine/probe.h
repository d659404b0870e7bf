#ifndef HEADWAY_ENGINE_PROBE_H_
#define HEADWAY_ENGINE_PROBE_H_

#include <memory>

#include "headway/engine/scope.h"

namespace headway {

namespace internal {
template <class T>
struct ProbeState {
  bool attached = false;
  ScopeTracker<T>* tracker = nullptr;  // null once the dataflow has gone
  LocationId location = 0;
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
    return state_->tracker == nullptr ? !state_->attached
                                      : state_->tracker->frontier(state_->location).LessThan(time);
  }
  // Whether `time`, or one before it, may still come.
  bool LessEqual(const T& time) const {
    return state_->tracker == nullptr ? !state_->attached
                                      : state_->tracker->frontier(state_->location).LessEqual(time);
  }
  // Whether nothing will come any more.
  bool Done() const {
    return state_->attached &&
           (state_->tracker == nullptr || state_->tracker->frontier(state_->location).empty());
  }

  // Made by the step Probe. A handle looks at one place: attaching it again while its dataflow
  // lives is an InvalidArgument failure.
  template <class D>
  void Attach(const Stream<D, T>& stream) {
    struct Detach {
      explicit Detach(std::shared_ptr<internal::ProbeState<T>> s) : state(std::move(s)) {}
      ~Detach() { state->tracker = nullptr; }
      std::shared_ptr<internal::ProbeState<T>> state;
    };
    if (state_->tracker != nullptr) {
      stream.scope().graph().Fail(
          "", absl::InvalidArgumentError(
                  "a ProbeHandle is attached to two streams; use a handle for each"));
      return;
    }
    *state_ = {true, &stream.scope().tracker(), stream.location()};
    stream.scope().graph().template Make<Detach>(state_);
  }

 private:
  std::shared_ptr<internal::ProbeState<T>> state_ = std::make_shared<internal::ProbeState<T>>();
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_PROBE_H_
