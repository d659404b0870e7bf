#ifndef HEADWAY_ENGINE_DATAFLOW_H_
#define HEADWAY_ENGINE_DATAFLOW_H_

#include <string>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "engine/graph/scope.h"

namespace headway {

// A name, and the function that builds the graph in a scope. The function runs once on each worker,
// concurrently, and must build the same graph everywhere. Its captures are shared by the workers of
// a process. Entry points (run.h, launch/cluster.h) execute it.
class Dataflow {
 public:
  using BuildFunction = absl::AnyInvocable<void(Scope<>&) const>;

  template <class BuildFn>
  Dataflow(std::string name, BuildFn build)
      : name_(std::move(name)), build_(Checked(std::move(build))) {}

  const std::string& name() const { return name_; }
  // An empty function, also that of a moved-from dataflow, is an InvalidArgument failure.
  void Build(Scope<>& scope) const {
    if (!build_) {
      scope.graph().errors().FailAndThrow(
          "", absl::InvalidArgumentError("its function is empty; give the Dataflow a function, and "
                                         "do not run one that was moved from"));
    }
    build_(scope);
  }

 private:
  // Its deduced result makes the sentence the first error.
  template <class BuildFn>
  static auto Checked(BuildFn build) {
    static_assert(std::is_invocable_v<const BuildFn&, Scope<>&>,
                  "Dataflow: the function must take (Scope<>& scope), and must not change its "
                  "captures (no mutable lambda), since several workers call it at once");
    return build;
  }

  std::string name_;
  BuildFunction build_;
};

}  // namespace headway

#endif  // HEADWAY_ENGINE_DATAFLOW_H_
