#ifndef HEADWAY_ENGINE_GRAPH_GRAPH_OBJECTS_H_
#define HEADWAY_ENGINE_GRAPH_GRAPH_OBJECTS_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace headway::internal {

// Owns objects of any type for as long as a graph lives, and destroys them in the reverse order of
// their construction. Ports, channels, receivers and the state of steps live here.
class GraphObjects {
 public:
  GraphObjects() = default;
  GraphObjects(const GraphObjects&) = delete;
  GraphObjects& operator=(const GraphObjects&) = delete;
  ~GraphObjects() { Clear(); }

  template <class U, class... Args>
  U& Make(Args&&... args) {
    auto object = std::make_unique<U>(std::forward<Args>(args)...);
    U& reference = *object;
    owned_.push_back({object.get(), [](void* p) { delete static_cast<U*>(p); }});
    object.release();
    return reference;
  }

  // Calls `f` when the graph is taken down, before any of its objects is destroyed: for handles
  // that may outlive the graph.
  void AtEnd(absl::AnyInvocable<void()> f) { at_end_.push_back(std::move(f)); }
  void RunAtEnd() {
    for (auto& f : at_end_) f();
    at_end_.clear();
  }
  void Clear() {
    while (!owned_.empty()) {
      Owned object = owned_.back();
      owned_.pop_back();
      object.destroy(object.object);
    }
  }

 private:
  struct Owned {
    void* object;
    void (*destroy)(void*);
  };

  std::vector<Owned> owned_;
  std::vector<absl::AnyInvocable<void()>> at_end_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_OBJECTS_H_
