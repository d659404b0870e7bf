// expect: Input: the source's Reader must have absl::StatusOr<SourceState> Poll
#include <optional>
#include <string>

#include "headway.h"

struct Source {
  using Record = int;
  struct Reader {};
  absl::StatusOr<Reader> Open(const headway::SourceContext&, std::optional<std::string>) {
    return Reader();
  }
};

void Build(headway::Scope<>& scope) { scope.Input("bad", Source()); }
