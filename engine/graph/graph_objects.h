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
  GraphObjects();
  GraphObjects(const GraphObjects&) = delete;
  GraphObjects& operator=(const GraphObjects&) = delete;
  ~GraphObjects();

  // True as long as the graph lives: for handles that refer to objects of the graph.
  std::shared_ptr<const bool> alive() const { return alive_; }

  template <class U, class... Args>
  U& Make(Args&&... args) {
    U* object = new U(std::forward<Args>(args)...);
    Own(object, [](void* p) { delete static_cast<U*>(p); });
    return *object;
  }

  // Calls `f` when the graph is taken down, before any of its objects is destroyed: for handles
  // that may outlive the graph.
  void AtEnd(absl::AnyInvocable<void()> f);
  void RunAtEnd();
  void Clear();

 private:
  // Destroys the object if it cannot be kept. Takes no std::unique_ptr: one for each type of object
  // would cost each user's program time to compile.
  void Own(void* object, void (*destroy)(void*));

  struct Owned {
    void* object;
    void (*destroy)(void*);
  };

  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<Owned> owned_;
  std::vector<absl::AnyInvocable<void()>> at_end_;
};

}  // namespace headway::internal

#endif  // HEADWAY_ENGINE_GRAPH_GRAPH_OBJECTS_H_
