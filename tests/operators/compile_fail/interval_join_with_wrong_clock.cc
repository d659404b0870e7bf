// expect: IntervalJoin: the functions of the clocks must take a value of their stream
#include <string>
#include <utility>

#include "headway.h"

void Build(const headway::Stream<std::pair<int, std::string>>& stream) {
  const headway::EventClock clock([](int number) { return number; }, 0);
  stream | headway::IntervalJoin("bad", clock, stream, clock, headway::JoinInterval(0, 1));
}
