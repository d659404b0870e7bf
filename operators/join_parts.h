#ifndef HEADWAY_OPERATORS_JOIN_PARTS_H_
#define HEADWAY_OPERATORS_JOIN_PARTS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine/graph/scope.h"
#include "engine/step/node_io.h"
#include "operators/keyed_pairs.h"

// Parts that the joins share, and the expiry of their state.

namespace headway {

// A join forgets a key when the run's clock says that the last value of the key came at least this
// long ago. REQUIRES: positive; otherwise the build fails with InvalidArgument.
struct JoinExpiry {
  absl::Duration after;
};

namespace internal {

// The type of the rows of a table: V, also for changes of type std::optional<V>.
template <class V>
struct TableValue {
  using Type = V;
};
template <class V>
struct TableValue<std::optional<V>> {
  using Type = V;
};

// Keys never expire.
struct NoExpiry {
  template <class Sides>
  using State = Sides;
  template <class Sides>
  static Sides& Of(Sides& state) {
    return state;
  }
  template <class Step>
  absl::Time Now(Step&) const {
    return absl::InfinitePast();
  }
  template <class Step, class Key, class S>
  void Touch(Step&, const Key&, S&, absl::Time) const {}
  template <class Step, class Key, class S>
  void Forget(Step&, const Key&, S&) const {}
  template <class Keyed, class F>
  void OnExpired(Keyed&, F&&) const {}
};

// A key expires some time after its last value. It has one clock timer, which is set with its first
// value. When the timer fires and there were later values, it is set again. So a value costs no
// timer.
class Expiry {
 public:
  template <class Sides>
  struct State {
    Sides sides;
    int64_t last_nanos = 0;
    int64_t timer_nanos = 0;  // 0: none is set
  };
  template <class Sides>
  static Sides& Of(State<Sides>& state) {
    return state.sides;
  }
  template <class Sides>
  static const Sides& Of(const State<Sides>& state) {
    return state.sides;
  }

  explicit Expiry(absl::Duration after) : after_(after) {}

  template <class Step>
  absl::Time Now(Step& step) const {
    return step.Now();
  }

  // A value of the key has come.
  template <class Step, class Key, class S>
  void Touch(Step& step, const Key& key, S& state, absl::Time now) const {
    state.last_nanos = absl::ToUnixNanos(now);
    if (state.timer_nanos != 0) return;
    state.timer_nanos = DueOf(state);
    step.SetTimer(typename Step::K(key), absl::FromUnixNanos(state.timer_nanos));
  }

  // The key is forgotten before it expires.
  template <class Step, class Key, class S>
  void Forget(Step& step, const Key& key, S& state) const {
    if (state.timer_nanos == 0) return;
    step.CancelTimer(typename Step::K(key), absl::FromUnixNanos(state.timer_nanos));
  }

  // Calls f(const CapabilityRef<T>& time, const K& key, const State& state) for keys that expire,
  // and forgets them.
  template <class Keyed, class F>
  void OnExpired(Keyed& keyed, F f) const {
    keyed.OnClockTimer([&step = keyed.step(), expiry = *this, f = std::move(f)](
                           const auto& time, const auto& key, absl::Time at) mutable {
      auto* state = step.states().Find(key);
      if (state == nullptr) return;
      state->timer_nanos = expiry.DueOf(*state);
      const absl::Time due = absl::FromUnixNanos(state->timer_nanos);
      // At the end of the input no timer can be set.
      if (due > at && step.SetTimer(key, due)) return;
      f(time, key, std::as_const(*state));
      step.states().Erase(key);
    });
  }

 private:
  template <class S>
  int64_t DueOf(const S& state) const {
    return absl::ToUnixNanos(absl::FromUnixNanos(state.last_nanos) + after_);
  }

  absl::Duration after_;
};

template <class D, class T>
Expiry ExpiryOf(const Stream<D, T>& stream, std::string_view id, JoinExpiry expiry) {
  if (expiry.after <= absl::ZeroDuration()) {
    stream.scope().graph().errors().FailAndThrow(
        stream.scope().FullId(id),
        absl::InvalidArgumentError("its JoinExpiry is not positive; give it the time after which "
                                   "a key without new values is forgotten"));
  }
  return Expiry(expiry.after);
}

}  // namespace internal

}  // namespace headway

#endif  // HEADWAY_OPERATORS_JOIN_PARTS_H_
