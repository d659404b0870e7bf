// Runs in which the system starts no more threads or processes.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "engine/launch/cluster.h"
#include "tests/engine/run_helpers.h"
#include "tests/sanitizers.h"

namespace headway {
namespace {
// The threads that may still be started; negative: any number. A forked process has its own.
std::atomic<int> threads_left = -1;
std::atomic<int> processes_left = -1;  // the same, for processes
}  // namespace
}  // namespace headway

#ifndef HEADWAY_SANITIZED  // the sanitizers have functions of their own
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto system = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (headway::threads_left == 0) return EAGAIN;
  if (headway::threads_left > 0) --headway::threads_left;
  return system(thread, attributes, start, argument);
}

extern "C" pid_t fork() {
  using Fork = pid_t (*)();
  static const auto system = reinterpret_cast<Fork>(dlsym(RTLD_NEXT, "fork"));
  if (headway::processes_left == 0) {
    errno = EAGAIN;
    return -1;
  }
  if (headway::processes_left > 0) --headway::processes_left;
  return system();
}
#endif

namespace headway {
namespace {

Dataflow Numbers() {
  return Dataflow("numbers", [](Scope<>& scope) {
    scope.Input("numbers", NumbersOfEachWorker(10)) | Exchange("spread");
  });
}

TEST_CASE("a thread that the system does not start is an error that says whose it is") {
  const Dataflow flow = Numbers();
  const auto check = [](const absl::Status& status, const std::string& what) {
    threads_left = -1;
    CheckError(status, absl::StatusCode::kResourceExhausted,
               {what, "Resource temporarily unavailable", "ulimit -u"});
  };
  if (kSanitized) {  // every thread starts
    CheckOk(RunMain(flow, {.worker_count = 3}));
    return;
  }
  threads_left = 1;
  check(RunMain(flow, {.worker_count = 3}), "cannot start the thread of worker 2");
  const std::string threads[] = {"thread that waits for a request to stop",
                                 "thread of the network's watchdog", "thread of worker"};
  for (int left = 0; left < 3; ++left) {
    threads_left = left;
    check(SpawnCluster(flow, {.proc_count = 2, .worker_count_per_proc = 2}), threads[left]);
  }
}

TEST_CASE(
    "a process that the system does not start is an error that says which, and ends the others") {
  if (kSanitized) return;
  processes_left = 1;
  const absl::Status status = SpawnCluster(Numbers(), {.proc_count = 3});
  processes_left = -1;
  CheckError(status, absl::StatusCode::kResourceExhausted,
             {"cannot start process 1", "Resource temporarily unavailable", "ulimit -u"});
}

}  // namespace
}  // namespace headway
