// expect: Stateful: OnTimer must take (StatefulContext<K, Result>& context, State& state
#include <utility>

#include "headway.h"

struct Logic {
  using State = int;
  using Result = int;
  using Context = headway::StatefulContext<int, int>;
  headway::StatefulAnswer OnItem(Context&, int&, int) { return headway::StatefulAnswer::kKeep; }
  headway::StatefulAnswer OnTimer(Context&, int&) { return headway::StatefulAnswer::kKeep; }
};

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  stream | headway::Stateful("bad", Logic());
}
