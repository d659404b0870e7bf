#include "engine/graph/completion.h"

#include "engine/runtime/config.h"

namespace headway::internal {

Completion::Completion(Tracker& tracker)
    : root_(tracker.AddScope<Epoch>()), location_(root_.AddLocation()) {}

void Completion::Watch() {
  watched_ = true;
  root_.Watch(location_);
}

LocationId Completion::AddPublication() {
  publication_ = root_.AddLocation();
  root_.Watch(*publication_);
  return *publication_;
}

bool Completion::HasReachedStop() const {
  if (watched_ && frontier().LessThan(kStopEpoch)) return false;
  return !publication_.has_value() || !root_.frontier(*publication_).LessThan(kStopEpoch);
}

}  // namespace headway::internal
