#include "headway/comm/thread_placement.h"

#include <sched.h>

#include <thread>

namespace headway::internal {

bool EachHasACore(int threads) {
  return threads <= static_cast<int>(std::thread::hardware_concurrency());
}

int CurrentCore() { return sched_getcpu(); }

void MoveThread(int core, int steps) {
  cpu_set_t allowed;
  if (core < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  const int count = CPU_COUNT(&allowed);
  steps %= count;
  if (steps == 0 && core == sched_getcpu()) return;
  while (steps > 0 || !CPU_ISSET(core, &allowed)) {
    core = (core + 1) % CPU_SETSIZE;
    if (CPU_ISSET(core, &allowed) && steps > 0) --steps;
  }
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(core, &only);
  if (sched_setaffinity(0, sizeof(only), &only) == 0) {
    sched_setaffinity(0, sizeof(allowed), &allowed);
  }
}

}  // namespace headway::internal
