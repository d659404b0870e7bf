#ifndef HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_
#define HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_

#include <vector>

// On which processors threads run. A system may start a thread on the processor of its creator, and
// leaves threads that yield to each other on one processor for tens of milliseconds, however idle
// the others are. All of this is thread safe.

namespace headway::internal {

// Whether so many threads can run at a time on the processors that the calling thread may use.
bool EachHasAProcessor(int threads);

// Different processors for so many threads, of those that the calling thread may use: the one on
// which it runs, the next ones of other cores, and then those that share a core with one of these.
// Empty if there are fewer, or the system does not say.
std::vector<int> ProcessorsForThreads(int threads);

// Moves the calling thread. It may move on from there: which processors it may use stays the same,
// as far as they are known now (a thread that may not use all keeps to its own, also when its
// container is given more). Has no effect if the system refuses.
void MoveThreadTo(int processor);

// The same, to the processor that comes after the current one among those that it may use. Does not
// allocate.
void MoveThreadOn();

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_THREAD_PLACEMENT_H_
