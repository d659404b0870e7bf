#include "headway/comm/thread_placement.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <thread>

namespace headway::internal {
namespace {

cpu_set_t AllowedCores() {
  cpu_set_t allowed;
  REQUIRE(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  return allowed;
}

// Runs `f` on a thread of its own, whose allowed cores are gone with it.
template <class F>
void OnThread(F&& f) {
  std::thread(f).join();
}

TEST_CASE("a thread that was moved may use the cores that it might use before") {
  OnThread([] {
    const cpu_set_t before = AllowedCores();
    for (int steps = 0; steps < 5; ++steps) {
      MoveThread(CurrentCore(), steps);
      const cpu_set_t after = AllowedCores();
      CHECK(CPU_EQUAL(&before, &after));
    }
  });
}

TEST_CASE("a thread is moved to a core that it may use only, from any core") {
  OnThread([] {
    const cpu_set_t all = AllowedCores();
    for (int only = 0; only < CPU_SETSIZE; ++only) {
      if (!CPU_ISSET(only, &all)) continue;
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(only, &one);
      REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
      for (int core : {0, only, CPU_SETSIZE - 1}) {
        for (int steps : {0, 1, 7}) {
          MoveThread(core, steps);
          const cpu_set_t after = AllowedCores();
          CHECK(CPU_EQUAL(&one, &after));
          CHECK(CurrentCore() == only);
        }
      }
    }
  });
}

TEST_CASE("one thread always has a core, too many do not") {
  CHECK(EachHasACore(1));
  CHECK_FALSE(EachHasACore(1 << 20));
}

}  // namespace
}  // namespace headway::internal
