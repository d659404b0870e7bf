#ifndef HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_
#define HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_

#include <vector>

// The placement of threads on processors. A system may start a thread on the processor of its
// creator. It also leaves threads that yield to each other on one processor for tens of
// milliseconds, even if others are idle. All functions are thread-safe.

namespace headway::internal {

// Returns true if this many threads can run at once on the processors that the calling thread may
// use.
bool EachHasAProcessor(int threads);

// Different processors for this many threads, of those that the calling thread may use: first its
// own, then processors of other cores, then those that share a core with one of these. Empty if
// there are fewer, or if the system does not tell.
std::vector<int> ProcessorsForThreads(int threads);

// Moves the calling thread. Its set of allowed processors does not change, as far as it is known
// now. (A thread with a restricted set keeps it, even if its container gets more.) No effect if the
// system refuses.
void MoveThreadTo(int processor);

// Moves the calling thread to the next of its allowed processors. Does not allocate.
void MoveThreadOn();

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_
