#ifndef HEADWAY_ENGINE_STEP_HELD_WATERMARKS_H_
#define HEADWAY_ENGINE_STEP_HELD_WATERMARKS_H_

#include <utility>
#include <vector>

#include "engine/step/node_io.h"

namespace headway::internal {

// Watermarks of an input that wait behind records which the step keeps: the last one of each
// sender, with the right to send at its time. Belongs to the operator's logic.
template <class T>
class HeldWatermarks {
 public:
  void Hold(Capability<T> time, const ArrivedWatermark& watermark) {
    for (Held& held : held_) {
      if (held.watermark.sender != watermark.sender) continue;
      held = {std::move(time), watermark};
      return;
    }
    held_.push_back({std::move(time), watermark});
  }

  // The records before them are processed.
  template <class D>
  void Apply(NodeInput<D, T>& input) const {
    for (const Held& held : held_) {
      input.WithRightAt(held.time.time(), [&](const CapabilityRef<T>& time) {
        input.ApplyWatermark(time, held.watermark);
      });
    }
  }

 private:
  struct Held {
    Capability<T> time;
    ArrivedWatermark watermark;
  };
  std::vector<Held> held_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_STEP_HELD_WATERMARKS_H_
