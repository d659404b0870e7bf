// expect: Stateful: the class must have one of StatefulAnswer OnItem
#include <utility>

#include "headway.h"

struct Logic {
  using State = int;
  using Result = int;
  void OnItem(headway::StatefulContext<int, int>&, int&, int) {}
};

void Build(const headway::Stream<std::pair<int, int>>& stream) {
  stream | headway::Stateful("bad", Logic());
}
