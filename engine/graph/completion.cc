#include "engine/graph/completion.h"

namespace headway::internal {

Completion::Completion(Tracker& tracker)
    : root_(tracker.AddScope<Epoch>()), location_(root_.AddLocation()) {}

void Completion::Watch() {
  watched_ = true;
  root_.Watch(location_);
}

}  // namespace headway::internal
