#include "comm/system/thread_placement.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <set>
#include <thread>
#include <vector>

namespace headway::internal {
namespace {

cpu_set_t Allowed() {
  cpu_set_t allowed;
  CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  return allowed;
}

std::vector<int> Members(const cpu_set_t& processors) {
  std::vector<int> members;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &processors)) members.push_back(i);
  }
  return members;
}

// Runs `f` on a thread of its own, so that its allowed processors end with it.
template <class F>
void OnThread(F&& f) {
  std::thread(f).join();
}

TEST_CASE("threads get different processors of those that may be used") {
  OnThread([] {
    const cpu_set_t allowed = Allowed();
    const int count = CPU_COUNT(&allowed);
    for (int threads = 1; threads <= count; ++threads) {
      const std::vector<int> processors = ProcessorsForThreads(threads);
      CHECK(processors.size() == static_cast<size_t>(threads));
      CHECK(std::set<int>(processors.begin(), processors.end()).size() == processors.size());
      for (const int processor : processors) CHECK(CPU_ISSET(processor, &allowed));
    }
    CHECK(ProcessorsForThreads(count + 1).empty());
    CHECK(EachHasAProcessor(count));
    CHECK_FALSE(EachHasAProcessor(count + 1));
  });
}

TEST_CASE("a thread that was moved may use the processors that it might use before") {
  OnThread([] {
    const cpu_set_t before = Allowed();
    for (const int processor : Members(before)) {
      MoveThreadTo(processor);
      const cpu_set_t after = Allowed();
      CHECK(CPU_EQUAL(&before, &after));
      MoveThreadOn();
      const cpu_set_t later = Allowed();
      CHECK(CPU_EQUAL(&before, &later));
    }
  });
}

TEST_CASE("a thread that is bound to one processor stays there") {
  OnThread([] {
    for (const int only : Members(Allowed())) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(only, &one);
      cpu_set_t before = Allowed();
      if (sched_setaffinity(0, sizeof(one), &one) != 0) continue;  // the system refuses
      CHECK(ProcessorsForThreads(1) == std::vector<int>{only});
      CHECK(ProcessorsForThreads(2).empty());
      for (const int other : {0, only, only + 1, CPU_SETSIZE - 1, CPU_SETSIZE, -1}) {
        MoveThreadTo(other);
        MoveThreadOn();
        const cpu_set_t after = Allowed();
        CHECK(CPU_EQUAL(&one, &after));
        CHECK(sched_getcpu() == only);
      }
      CHECK(sched_setaffinity(0, sizeof(before), &before) == 0);
    }
  });
}

}  // namespace
}  // namespace headway::internal
