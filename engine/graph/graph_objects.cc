#include "engine/graph/graph_objects.h"

namespace headway::internal {

GraphObjects::GraphObjects() = default;
GraphObjects::~GraphObjects() { Clear(); }

void GraphObjects::AtEnd(absl::AnyInvocable<void()> f) { at_end_.push_back(std::move(f)); }

void GraphObjects::RunAtEnd() {
  *alive_ = false;
  for (auto& f : at_end_) f();
  at_end_.clear();
}

void GraphObjects::Clear() {
  while (!owned_.empty()) {
    Owned object = owned_.back();
    owned_.pop_back();
    object.destroy(object.object);
  }
}

void GraphObjects::Own(void* object, void (*destroy)(void*)) {
  try {
    owned_.push_back({object, destroy});
  } catch (...) {
    destroy(object);
    throw;
  }
}

}  // namespace headway::internal
