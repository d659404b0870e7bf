#ifndef HEADWAY_OPERATORS_WINDOWS_WINDOW_EVENTS_H_
#define HEADWAY_OPERATORS_WINDOWS_WINDOW_EVENTS_H_

#include <utility>

#include "engine/step/node_io.h"
#include "operators/windows/window.h"

namespace headway {

// A moment in the life of a window of a key.
struct WindowEvent {
  enum class Kind : uint8_t {
    kOpened,  // the key has a first record in it
    kMerged,  // a record has joined this session and an earlier one: `into` is all of it now
    kClosed,  // it has emitted its result on time
  };
  Kind kind = Kind::kOpened;
  // A session as it is at this moment. The sessions of a key are disjoint and only grow, so a
  // session is the one that contains its former ranges.
  Window window;
  Window into{};  // of kMerged
  friend auto operator<=>(const WindowEvent&, const WindowEvent&) = default;
};

// The results of a step with windows of keys, with their late records and events.
template <class R, class D, class T>
class KeyWindowStream : public WindowStream<R, D, T> {
 public:
  using Event = std::pair<typename R::first_type, WindowEvent>;

  KeyWindowStream(const Stream<R, T>& results, Stream<D, T> late, Stream<Event, T> events,
                  bool* wants_events)
      : WindowStream<R, D, T>(results, std::move(late)),
        events_(std::move(events)),
        wants_events_(wants_events) {}

  // (key, WindowEvent): each window of a key that has opened, closed, or become part of another
  // session. Costs nothing if it is not called. Events are not ordered with the results.
  const Stream<Event, T>& events() const {
    *wants_events_ = true;
    return events_;
  }

 private:
  Stream<Event, T> events_;
  bool* wants_events_;  // of the dataflow
};

namespace internal {

// The output of a step for the events of its windows. Belongs to the worker's thread.
template <class K, class T>
class WindowEvents {
 public:
  using Output = NodeOutput<std::pair<K, WindowEvent>, T>;

  explicit WindowEvents(Output& output) : output_(output) {}

  Output& output() { return output_; }
  bool* wanted() { return &wanted_; }
  bool are_wanted() const { return wanted_; }

  template <class KeyView>
  void Give(const CapabilityRef<T>& time, const KeyView& key, const WindowEvent& event) {
    output_.SessionAt(time).Give(std::pair<KeyView, WindowEvent>(key, event));
  }
  template <class KeyView>
  void GiveClosed(const CapabilityRef<T>& time, const KeyView& key, const Window& window) {
    if (wanted_) Give(time, key, {.kind = WindowEvent::Kind::kClosed, .window = window});
  }

 private:
  Output& output_;
  bool wanted_ = false;
};

}  // namespace internal
}  // namespace headway

#endif  // HEADWAY_OPERATORS_WINDOWS_WINDOW_EVENTS_H_
